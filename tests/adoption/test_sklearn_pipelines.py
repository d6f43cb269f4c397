"""Pipelines as teams have them: named columns of a pandas frame, encoders, texts, categories that came later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import evermodel as em
from evermodel.core.errors import BadModel, ContractBroken

PORTS = ("S", "C", "Q")
EFFECT = {"S": 0.0, "C": 0.8, "Q": -0.5, "New York": 1.5}


def make_rows(n: int, seed: int, ports: tuple[str, ...] = PORTS) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "age": random.integers(18, 90, n).astype(float),
            "siblings": random.integers(0, 5, n),
            "port": random.choice(ports, n),
            "sex": random.choice(["male", "female"], n),
            "alone": random.random(n) < 0.4,
        }
    )
    score = 1.6 * (rows.sex == "female") - 0.03 * (rows.age - 50) - 0.3 * rows.siblings + rows.port.map(EFFECT)
    rows["survived"] = np.where(score + 0.8 * random.normal(size=n) > 0, "yes", "no")
    rows.loc[random.random(n) < 0.1, "age"] = np.nan
    return rows


def by_names():
    return ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "siblings"]),
            ("c", OneHotEncoder(handle_unknown="ignore"), ["port", "sex"]),
        ]
    )


def by_selectors():
    return ColumnTransformer(
        [
            ("n", SimpleImputer(strategy="median"), make_column_selector(dtype_include=np.number)),
            (
                "c",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(drop="first")),
                make_column_selector(dtype_exclude=np.number),
            ),
        ]
    )


def by_codes():
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_column_transformer((codes, ["sex", "port"]), (SimpleImputer(), ["age"]), remainder="passthrough")


FRONTS = {"names": by_names, "selectors": by_selectors, "codes": by_codes}


def write(model, to: Path) -> Path:
    skops.io.dump(model, to)
    return to


def read_plainly(file: Path):
    return skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))


@pytest.mark.parametrize("front", FRONTS)
def test_a_pipeline_on_named_columns_is_adopted_updated_and_saved(front, tmp_path: Path) -> None:
    old, new, later = make_rows(900, 1), make_rows(700, 2), make_rows(300, 3)
    x = old.drop(columns="survived")
    plain = make_pipeline(FRONTS[front](), LogisticRegression(max_iter=500)).fit(x, old.survived)
    for name, rows in (("old", old), ("new", new), ("later", later)):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    registry = em.open(tmp_path / "r")
    model = registry.adopt(write(plain, tmp_path / "m.skops"), data=tmp_path / "old.csv", target="survived", name="m")

    own = plain.predict_proba(later.drop(columns="survived"))
    for rows in (tmp_path / "later.csv", later):  # from a file, and as a live frame
        answers = model.predict(rows)
        np.testing.assert_allclose(np.asarray(answers["p_yes"]), own[:, 1], atol=1e-6)
    model.update(tmp_path / "new.csv", strategy="refit")
    saved = tmp_path / "updated.skops"
    model.save(saved, version="v2")
    updated = read_plainly(saved)
    assert [type(step) for _, step in updated.steps] == [type(step) for _, step in plain.steps]
    answers = model.version("v2").predict(later)
    np.testing.assert_allclose(
        np.asarray(answers["p_yes"]), updated.predict_proba(later.drop(columns="survived"))[:, 1], atol=1e-6
    )
    assert not np.allclose(updated.predict_proba(later.drop(columns="survived")), own)


def test_columns_in_another_order_and_of_other_types_are_the_same_columns(tmp_path: Path) -> None:
    old, later = make_rows(900, 1), make_rows(200, 3)
    plain = make_pipeline(by_selectors(), RandomForestClassifier(20, random_state=0))
    plain.fit(old.drop(columns="survived"), old.survived)
    model = em.open(tmp_path / "r").adopt(write(plain, tmp_path / "m.skops"), data=old, target="survived", name="m")
    shuffled = later[["sex", "alone", "port", "siblings", "age"]].astype({"siblings": float})
    np.testing.assert_allclose(
        np.asarray(model.predict(shuffled)["p_no"]),
        plain.predict_proba(later.drop(columns="survived"))[:, 0],
        atol=1e-6,
    )


def test_categories_by_dtype_of_histogram_boosting(tmp_path: Path) -> None:
    kinds = {"port": pd.CategoricalDtype(["S", "Q", "C"]), "sex": "category"}
    old, new, later = (make_rows(n, seed).astype(kinds) for n, seed in ((900, 1), (700, 2), (300, 3)))
    plain = HistGradientBoostingClassifier(max_iter=30, categorical_features="from_dtype", random_state=0)
    plain.fit(old.drop(columns="survived"), old.survived)
    model = em.open(tmp_path / "r").adopt(plain, data=old, target="survived", name="m")
    own = plain.predict_proba(later.drop(columns="survived"))[:, 1]
    np.testing.assert_allclose(np.asarray(model.predict(later)["p_yes"]), own, atol=1e-6)
    later.to_csv(tmp_path / "later.csv", index=False)  # words alone: the table is the model's own
    np.testing.assert_allclose(np.asarray(model.predict(tmp_path / "later.csv")["p_yes"]), own, atol=1e-6)
    model.update(new, strategy="refit")
    model.save(tmp_path / "updated.skops", version="v2")
    updated = read_plainly(tmp_path / "updated.skops")
    assert updated.is_categorical_.tolist() == [False, False, True, True, False]
    np.testing.assert_allclose(
        np.asarray(model.version("v2").predict(later)["p_yes"]),
        updated.predict_proba(later.drop(columns="survived"))[:, 1],
        atol=1e-6,
    )


def make_codes(n: int, seed: int, effect: np.ndarray) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    places, amount = random.integers(0, 20, n), random.normal(size=n).round(4)
    score = effect[places] + 0.6 * amount + 0.7 * random.normal(size=n)
    zips = [f"{place * 397:05d}" for place in places]
    return pd.DataFrame({"zip": zips, "amount": amount, "bought": np.where(score > 0, "yes", "no")})


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    effect = np.random.default_rng(5).normal(scale=1.5, size=20)
    old, later = make_codes(900, 1, effect), make_codes(300, 2, effect)
    front = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["zip"]), (StandardScaler(), ["amount"]))
    plain = make_pipeline(front, LogisticRegression()).fit(old[["zip", "amount"]], old.bought)
    old.to_csv(tmp_path / "old.csv", index=False)
    later.to_csv(tmp_path / "later.csv", index=False)
    registry = em.open(tmp_path / "r")
    model = registry.adopt(write(plain, tmp_path / "m.skops"), data=tmp_path / "old.csv", target="bought", name="m")
    own = plain.predict_proba(later[["zip", "amount"]])[:, 1]
    np.testing.assert_allclose(np.asarray(model.predict(tmp_path / "later.csv")["p_yes"]), own, atol=1e-6)


def test_numbers_where_the_model_knows_other_codes_are_refused(tmp_path: Path) -> None:
    effect = np.random.default_rng(5).normal(scale=1.5, size=20)
    old = make_codes(900, 1, effect)
    front = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["zip"]), (StandardScaler(), ["amount"]))
    plain = make_pipeline(front, LogisticRegression()).fit(old[["zip", "amount"]], old.bought)
    lost = old.assign(zip=old.zip.astype(int))
    with pytest.raises(ContractBroken, match="The model knows '00000', '00397'"):
        em.open(tmp_path / "r").adopt(plain, data=lost, target="bought", name="m")


def test_blanks_around_categories_are_the_model_s_own(tmp_path: Path) -> None:
    spaced = make_rows(900, 1).assign(port=lambda rows: " " + rows.port)
    x = spaced[["port", "sex", "siblings"]]
    front = make_column_transformer((OneHotEncoder(), ["port", "sex"]), remainder="passthrough")
    plain = make_pipeline(front, LogisticRegression()).fit(x, spaced.survived)
    spaced.to_csv(tmp_path / "old.csv", index=False)
    model = em.open(tmp_path / "r").adopt(plain, data=tmp_path / "old.csv", target="survived", name="m")
    answers = model.predict(tmp_path / "old.csv")
    np.testing.assert_allclose(np.asarray(answers["p_yes"]), plain.predict_proba(x)[:, 1], atol=1e-6)


@pytest.fixture
def strict(tmp_path: Path) -> em.Model:
    """A model whose encoder raises for an unknown port, as OneHotEncoder does by default."""
    old = make_rows(900, 1)
    front = make_column_transformer((OneHotEncoder(), ["port", "sex"]), remainder="passthrough")
    plain = make_pipeline(front, LogisticRegression()).fit(old[["port", "sex", "siblings"]], old.survived)
    return em.open(tmp_path / "r").adopt(plain, data=old, target="survived", name="m")


def test_an_unknown_category_is_named_with_its_rows(strict: em.Model) -> None:
    later = make_rows(20, 3)
    later.loc[[4, 7], "port"] = "New York"
    with pytest.raises(ContractBroken, match=r"'port' holds 'New York'.*2 rows \(5, 8\)"):
        strict.predict(later)
    answers = strict.predict(later, accept=("categories:port",))
    known = later.port != "New York"
    np.testing.assert_allclose(
        np.asarray(answers["p_yes"])[known], np.asarray(strict.predict(later[known])["p_yes"]), atol=1e-7
    )


def test_an_update_learns_an_unknown_category_and_forgets_none(strict: em.Model, tmp_path: Path) -> None:
    new = make_rows(1200, 4, ("C", "Q", "New York"))
    result = strict.update(new)
    assert result.in_service == "v2", str(result)
    assert any("'New York'" in reason for reason in result.reasons)
    later = make_rows(300, 5, (*PORTS, "New York"))
    strict.save(tmp_path / "updated.skops")
    updated = read_plainly(tmp_path / "updated.skops")
    encoder = updated.steps[0][1].named_transformers_["onehotencoder"]
    assert encoder.categories_[0].tolist() == ["C", "New York", "Q", "S"] and encoder.categories == "auto"
    np.testing.assert_allclose(
        np.asarray(strict.predict(later)["p_yes"]),
        updated.predict_proba(later[["port", "sex", "siblings"]])[:, 1],
        atol=1e-6,
    )


WORDS = {
    "refund": ("money", "back", "invoice", "charged", "twice", "card", "payment", "bill"),
    "delivery": ("parcel", "late", "courier", "address", "tracking", "box", "lost"),
    "login": ("password", "account", "reset", "code", "email", "locked", "sign"),
}
FILLER = ("please", "hello", "the", "a", "my", "I", "is", "was", "and", "still", "not", "since", "order", "help")


def make_texts(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    topics = random.choice(list(WORDS), n)
    texts = [" ".join([*random.choice(WORDS[topic], 2), *random.choice(FILLER, 6)]) for topic in topics]
    return pd.DataFrame({"message": texts, "length": [len(t) for t in texts], "topic": topics})


@pytest.mark.parametrize("analyzer", ["word", "char"])
def test_a_pipeline_of_texts_is_adopted_updated_watched_and_saved(analyzer, tmp_path: Path) -> None:
    old, new, later = (make_texts(n, seed) for n, seed in ((700, 1), (500, 2), (300, 3)))
    later.loc[3, "message"] = "  parcel  "  # blanks are letters to a vectorizer of letters
    plain = make_pipeline(TfidfVectorizer(analyzer=analyzer), LogisticRegression()).fit(old.message, old.topic)
    registry = em.open(tmp_path / "r")
    model = registry.adopt(
        write(plain, tmp_path / "m.skops"), data=old, target="topic", inputs=("message",), name="topics"
    )
    answers, own = model.predict(later), plain.predict_proba(later.message)
    for at, topic in enumerate(plain.classes_):
        np.testing.assert_allclose(np.asarray(answers[f"p_{topic}"]), own[:, at], atol=1e-6)
    assert (np.asarray(answers["prediction"]) == plain.predict(later.message)).all()
    model.update(new, strategy="refit")
    model.save(tmp_path / "updated.skops", version="v2")
    updated = read_plainly(tmp_path / "updated.skops")
    second = model.version("v2").predict(later)
    own = updated.predict_proba(later.message)
    for at, topic in enumerate(updated.classes_):
        np.testing.assert_allclose(np.asarray(second[f"p_{topic}"]), own[:, at], atol=1e-6)
    assert "300 rows, 300 labelled" in str(model.watch(later))


def test_a_model_of_texts_asks_which_of_several_columns_holds_them(tmp_path: Path) -> None:
    old = make_texts(700, 1)
    plain = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(old.message, old.topic)
    with pytest.raises(ContractBroken, match="takes 1 columns") as error:
        em.open(tmp_path / "r").adopt(plain, data=old, target="topic", name="topics")
    assert "`inputs`" in error.value.hint


def test_texts_and_numbers_side_by_side(tmp_path: Path) -> None:
    old, later = make_texts(700, 1), make_texts(300, 3)
    front = ColumnTransformer([("t", TfidfVectorizer(), "message"), ("n", StandardScaler(), ["length"])])
    plain = make_pipeline(front, LogisticRegression()).fit(old[["message", "length"]], old.topic)
    model = em.open(tmp_path / "r").adopt(plain, data=old, target="topic", name="topics")
    own = plain.predict_proba(later[["message", "length"]])
    np.testing.assert_allclose(np.asarray(model.predict(later)[f"p_{plain.classes_[0]}"]), own[:, 0], atol=1e-6)


def test_a_regression_on_named_columns(tmp_path: Path) -> None:
    old, later = make_rows(900, 1), make_rows(300, 3)
    price = lambda rows: 10.0 + 3.0 * rows.siblings + rows.port.map(EFFECT)  # noqa: E731
    front = make_column_transformer((OneHotEncoder(), ["port"]), remainder="passthrough")
    plain = make_pipeline(front, Ridge()).fit(old[["port", "siblings"]], price(old))
    model = em.open(tmp_path / "r").adopt(plain, data=old.assign(price=price(old)), target="price", name="m")
    answers = np.asarray(model.predict(later)["prediction"])
    np.testing.assert_allclose(answers, plain.predict(later[["port", "siblings"]]), atol=1e-5)


def test_words_where_the_model_was_fitted_on_numbers_are_refused(tmp_path: Path) -> None:
    old = make_rows(900, 1)
    front = make_column_transformer((OneHotEncoder(), ["siblings"]), (SimpleImputer(), ["age"]))
    plain = make_pipeline(front, LogisticRegression()).fit(old[["siblings", "age"]], old.survived)
    words = old.assign(siblings=old.siblings.map(dict(enumerate(["none", "one", "two", "three", "four"]))))
    with pytest.raises(ContractBroken, match="fitted on numbers in 'siblings'"):
        em.open(tmp_path / "r").adopt(plain, data=words, target="survived", name="m")


def test_what_predicts_no_target_or_several_is_refused(tmp_path: Path) -> None:
    from sklearn.cluster import KMeans
    from sklearn.ensemble import IsolationForest
    from sklearn.linear_model import LinearRegression

    old = make_rows(900, 1)
    x, y = old[["siblings"]], old[["siblings", "age"]].fillna(40)
    both = pd.DataFrame({"a": (x.siblings > 2), "b": (y.age > 50)})
    for model, words in (
        (KMeans(2, n_init=1).fit(x), "neither a classifier nor a regressor"),
        (IsolationForest(n_estimators=5).fit(x), "neither a classifier nor a regressor"),
        (RandomForestClassifier(5).fit(x, both), "2 answers a row"),
        (LinearRegression().fit(x, y), "2 answers a row"),
    ):
        with pytest.raises(BadModel, match=words) as error:
            em.open(tmp_path / "r").adopt(model, data=old, target="survived" if "class" in words else "age", name="m")
        assert error.value.hint
