"""Models of scikit-learn with several targets: taken whole, updated, and saved as plain scikit-learn reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("skops")

import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, MultiTaskLasso, Ridge, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators

import evermodel as em
from evermodel.core.errors import BadData, BadModel, BadSetting, ContractBroken
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import sklearn
from evermodel.plugins.frameworks._sklearn.several_targets import list_heads

NAMES = ["a", "b", "c"]
NUMBERS, LABELS, FLAGS = ["width", "height"], ["rain", "wind"], ["tag_x", "tag_y", "tag_z"]


def rows(n: int, seed: int, moved: float = 0.0) -> pl.DataFrame:
    """Three numbers; two numbers, a truth value, one of three words, and three flags that hang on them."""
    random = np.random.default_rng(seed)
    a, b, c = x = random.normal(size=(3, n))
    e = 0.3 * random.normal(size=(6, n))
    wind = np.array(["calm", "fresh", "storm"])[np.digitize(b + moved + e[3], [-0.5, 0.5])]
    return pl.DataFrame(dict(zip(NAMES, x, strict=True))).with_columns(
        pl.Series("width", 10 + 3 * a - b + 2 * moved * c + e[0]),
        pl.Series("height", 2 * c + b + moved + e[1]),
        pl.Series("rain", np.where(a + moved * b + e[2] > 0, "yes", "no")),
        pl.Series("wind", wind),
        *(pl.Series(name, (part + moved * a + e[4] > 0).astype(int)) for name, part in zip(FLAGS, x, strict=True)),
    )


def only(table: pl.DataFrame, targets: list[str]) -> pl.DataFrame:
    return table.select(*NAMES, *targets)


REGRESSIONS = {
    "ridge": Ridge(),
    "least squares": LinearRegression(),
    "lasso": MultiTaskLasso(0.01),
    "forest": RandomForestRegressor(20, random_state=0),
    "neighbours": KNeighborsRegressor(5),
    "network": MLPRegressor(hidden_layer_sizes=(16,), random_state=0, max_iter=400),
    "one a target": MultiOutputRegressor(Ridge()),
    "chain": RegressorChain(Ridge()),
    "pipeline": make_pipeline(StandardScaler(), Ridge()),
}
CLASSIFIERS: dict[str, tuple[Any, list[str]]] = {
    "forest": (RandomForestClassifier(20, random_state=0), LABELS),
    "extra trees": (ExtraTreesClassifier(20, random_state=0), LABELS),
    "one a target": (MultiOutputClassifier(LogisticRegression()), LABELS),
    "pipeline": (make_pipeline(StandardScaler(), MultiOutputClassifier(LogisticRegression())), LABELS),
    "chain": (ClassifierChain(LogisticRegression()), FLAGS),
    "one against the rest": (OneVsRestClassifier(LogisticRegression()), FLAGS),
    "network of labels": (MLPClassifier((16,), random_state=0, max_iter=400), FLAGS),
    "neighbours of labels": (KNeighborsClassifier(7), FLAGS),
    "forest of labels": (RandomForestClassifier(20, random_state=0), FLAGS),
}


def read_probabilities(estimator: Any, x: np.ndarray) -> list[np.ndarray]:
    """Of each target the probabilities of its classes, as scikit-learn alone gives them."""
    found = estimator.predict_proba(x)
    if isinstance(found, list):
        return found
    return [np.stack([1 - p, p], axis=1) for p in found.T]


@pytest.mark.parametrize("name", REGRESSIONS)
def test_several_numbers_are_taken_updated_and_saved_for_plain_scikit_learn(name: str, tmp_path: Path) -> None:
    learnt, new = rows(600, 1), rows(200, 3)
    x = new.select(NAMES).to_numpy()
    estimator = REGRESSIONS[name].fit(learnt.select(NAMES).to_numpy(), learnt.select(NUMBERS).to_numpy())
    skops.io.dump(estimator, tmp_path / "m.skops")
    model = em.open(tmp_path / "r").adopt(
        tmp_path / "m.skops", data=only(learnt, NUMBERS), target="width,height", name="m"
    )
    found = model.predict(new.select(NAMES))
    assert found.columns == ["prediction", "prediction_height"]
    np.testing.assert_allclose(found.to_numpy(), estimator.predict(x), rtol=1e-9, atol=1e-9)
    result = model.update(only(rows(600, 2, moved=1.0), NUMBERS), strategy="refit")
    assert result.decision == "promote", str(result)
    assert any("'height' is not judged" in reason for reason in result.reasons)
    model.save(tmp_path / "updated.skops", proof=False)
    plain = skops.io.load(tmp_path / "updated.skops", trusted=skops.io.get_untrusted_types(file=tmp_path / "m.skops"))
    now = model.predict(new.select(NAMES)).to_numpy()
    np.testing.assert_allclose(now, plain.predict(x), rtol=1e-9, atol=1e-9)
    assert type(plain) is type(estimator) and np.abs(now - found.to_numpy()).max() > 0.1
    truth = rows(200, 3, moved=1.0)
    for column, i in (("width", 0), ("height", 1)):
        before, after = (np.mean((v[:, i] - truth[column].to_numpy()) ** 2) for v in (found.to_numpy(), now))
        assert after < before, column


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_several_labels_are_taken_updated_and_saved_for_plain_scikit_learn(name: str, tmp_path: Path) -> None:
    untrained, targets = CLASSIFIERS[name]
    learnt, new = rows(800, 1), rows(200, 3)
    x = new.select(NAMES).to_numpy()
    estimator = untrained.fit(learnt.select(NAMES).to_numpy(), learnt.select(targets).to_numpy())
    skops.io.dump(estimator, tmp_path / "m.skops")
    model = em.open(tmp_path / "r").adopt(
        tmp_path / "m.skops", data=only(learnt, targets), target=",".join(targets), name="m"
    )

    def check(frame: pl.DataFrame, estimator: Any) -> None:
        for i, (target, p) in enumerate(zip(targets, read_probabilities(estimator, x), strict=True)):
            start = "p_" if i == 0 else f"p_{target}_"
            classes = sorted(learnt[target].unique().to_list())
            np.testing.assert_allclose(frame.select([f"{start}{c}" for c in classes]).to_numpy(), p, atol=1e-9)

    check(model.predict(new.select(NAMES)), estimator)
    result = model.update(only(rows(800, 2, moved=1.0), targets), strategy="refit", policy="refresh")
    assert result.decision == "promote", str(result)
    assert sum("not judged" in reason for reason in result.reasons) == len(targets) - 1
    # The proof: plain scikit-learn answers alike in a process of its own. For the two forms of probabilities.
    model.save(tmp_path / "updated.skops", proof=name in ("forest", "chain"))
    plain = skops.io.load(tmp_path / "updated.skops", trusted=skops.io.get_untrusted_types(file=tmp_path / "m.skops"))
    now = model.predict(new.select(NAMES))
    check(now, plain)
    assert type(plain) is type(estimator)
    truth = rows(200, 3, moved=1.0)
    for i, target in enumerate(targets):
        said = now["prediction" if i == 0 else f"prediction_{target}"].cast(pl.String)
        assert (said == truth[target].cast(pl.String)).mean() > 0.65, target


def test_a_pipeline_of_named_columns_with_a_number_and_words_as_targets(tmp_path: Path) -> None:
    def add_city(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(city=pl.when(pl.col("c") > 0).then(pl.lit("Rome")).otherwise(pl.lit("Oslo")))

    learnt, new = add_city(rows(800, 1)).to_pandas(), add_city(rows(100, 3)).to_pandas()
    inputs = [*NAMES, "city"]
    prep = make_column_transformer((StandardScaler(), NAMES), (OneHotEncoder(handle_unknown="ignore"), ["city"]))
    pipeline = make_pipeline(prep, RandomForestClassifier(20, random_state=0)).fit(learnt[inputs], learnt[LABELS])
    model = em.open(tmp_path).adopt(pipeline, data=learnt[[*inputs, *LABELS]], target="rain,wind", name="m")
    outputs = {o.name: (o.target, o.classes, o.primary) for o in model.champion.card.signature.outputs}
    assert outputs == {
        "target 1": ("rain", (), True),
        "target 2": ("wind", ("calm", "fresh", "storm"), False),
    }
    assert model.champion.inputs == tuple(inputs)
    found = pl.from_pandas(model.predict(new[inputs]))
    rain, wind = pipeline.predict_proba(new[inputs])
    np.testing.assert_allclose(found.select("p_no", "p_yes").to_numpy(), rain, atol=1e-9)
    np.testing.assert_allclose(found.select("^p_wind_.*$").to_numpy(), wind, atol=1e-9)
    labels = pipeline.predict(new[inputs])
    assert found["prediction"].to_list() == labels[:, 0].tolist()
    assert found["prediction_wind"].to_list() == labels[:, 1].tolist()


@pytest.fixture
def forest() -> RandomForestClassifier:
    learnt = rows(600, 1)
    return RandomForestClassifier(10, random_state=0).fit(
        learnt.select(NAMES).to_numpy(), learnt.select(LABELS).to_numpy()
    )


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("rain", BadModel, "gives 2 answers a row: target 1 .binary., target 2 .multiclass."),
        ("rain,wind,width", BadSetting, "gives 2 answers a row .*; 3 targets are named"),
        ("wind,rain", (BadSetting, ContractBroken), "classes"),
    ],
)
def test_targets_that_do_not_fit_the_answers_are_refused(target, error, said, forest, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        em.open(tmp_path).adopt(forest, data=only(rows(300, 1), [*LABELS, "width"]), target=target, name="m")
    assert len(em.open(tmp_path).models) == 0


def test_numbers_in_another_order_than_the_answers_are_refused(tmp_path: Path) -> None:
    learnt = rows(400, 1)
    estimator = Ridge().fit(learnt.select(NAMES).to_numpy(), learnt.select(NUMBERS).to_numpy())
    with pytest.raises((BadModel, em.EvermodelError)):
        em.open(tmp_path).adopt(estimator, data=only(learnt, NUMBERS), target="height,width", name="m")


def write_storms(table: pl.DataFrame, word: str) -> pl.DataFrame:
    return table.with_columns(wind=pl.when(pl.col("wind") == "storm").then(pl.lit(word)).otherwise("wind"))


def test_a_word_that_no_answer_knows_is_no_new_class(forest, tmp_path: Path) -> None:
    model = em.open(tmp_path).adopt(forest, data=only(rows(600, 1), LABELS), target="rain,wind", name="m")
    result = model.update(write_storms(only(rows(900, 2), LABELS), "gale"), strategy="refit", policy="refresh")
    assert result.decision == "promote", str(result)
    columns = model.predict(rows(50, 3).select(NAMES)).columns
    assert [c for c in columns if c.startswith("p_wind_")] == ["p_wind_calm", "p_wind_fresh", "p_wind_storm"]


def test_a_training_that_would_lose_a_class_is_refused(forest) -> None:
    table = write_storms(only(rows(300, 2), LABELS), "fresh")
    codes = np.stack([(table["rain"] == "yes").to_numpy(), (table["wind"] == "fresh").to_numpy()], axis=1)
    x = table.select(NAMES).to_numpy()
    with pytest.raises(BadData, match="no row of the class storm of the estimator's target 2"):
        sklearn.fit(forest, x, codes.astype(float), Training(), from_scratch=True)
    with pytest.raises(BadSetting, match="has 3 classes of its target 2; the rows hold more"):
        sklearn.fit(forest, x, codes * [1.0, 3.0], Training(), from_scratch=True)
    with pytest.raises(BadSetting, match="'refit'"):
        sklearn.fit(forest, x, codes.astype(float), Training(), from_scratch=False)


def test_labels_without_probabilities_are_refused(tmp_path: Path) -> None:
    learnt = rows(300, 1)
    x, y = learnt.select(NAMES).to_numpy(), learnt.select(FLAGS).to_numpy()
    with pytest.raises(BadModel, match="no probabilities"):
        em.open(tmp_path).adopt(
            MultiOutputClassifier(RidgeClassifier()).fit(x, y), data=only(learnt, FLAGS), target=",".join(FLAGS)
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_no_estimator_of_one_target_is_taken_for_one_of_several(kind: str) -> None:
    """A support vector machine has a column of coefficients for each of its vectors, and still one answer."""
    random = np.random.default_rng(0)
    x = random.random((60, 4))
    y = x @ [1.0, 2.0, 3.0, 4.0] if kind == "regressor" else np.digitize(x[:, 0], [0.3, 0.6])
    tried = []
    for name, make in all_estimators(type_filter=kind):
        try:
            fitted = make().fit(x, y)
        except (TypeError, ValueError):  # it needs an inner estimator, or rows of another kind
            continue
        tried.append(name)
        assert list_heads(fitted) == (), name
    assert len(tried) >= 25 and ({"SVR", "KernelRidge"} <= set(tried) or kind == "classifier")
