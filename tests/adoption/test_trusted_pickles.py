"""Pickles that a user trusts by name: what is in them, which part is the model, and what cannot be kept."""

from __future__ import annotations

import pickle
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import evermodel as em
from evermodel.core.errors import BadModel, BadSetting, NotFound, Unsafe
from evermodel.registry.adoption.model_file import open_model
from tests.adoption.test_sklearn_pipelines import make_rows, make_texts, read_plainly

lightgbm = pytest.importorskip("lightgbm", reason='needs pip install "evermodel[boost]"')
xgboost = pytest.importorskip("xgboost", reason='needs pip install "evermodel[boost]"')


def front():
    numbers, words = make_column_selector(dtype_include=np.number), make_column_selector(dtype_exclude=np.number)
    return ColumnTransformer([("n", SimpleImputer(), numbers), ("c", OneHotEncoder(handle_unknown="ignore"), words)])


@pytest.fixture
def rows() -> pd.DataFrame:
    rows = make_rows(900, 1)
    return rows.assign(survived=(rows.survived == "yes").astype(int))


def fit(model, rows: pd.DataFrame):
    return model.fit(rows.drop(columns="survived"), rows.survived)


BOOSTERS = {
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=20, n_jobs=1, random_state=0),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1, random_state=0),
}


@pytest.mark.parametrize("booster", BOOSTERS)
def test_a_booster_as_the_last_step_is_adopted_updated_and_saved(booster, rows, tmp_path: Path) -> None:
    plain = fit(make_pipeline(front(), BOOSTERS[booster]()), rows)
    joblib.dump(plain, tmp_path / "m.joblib")
    new, later = make_rows(700, 2), make_rows(300, 3)
    new["survived"] = (new.survived == "yes").astype(int)
    model = em.open(tmp_path / "r").adopt(
        tmp_path / "m.joblib", data=rows, target="survived", name="m", trust=tmp_path / "m.joblib"
    )
    x = later.drop(columns="survived")
    np.testing.assert_allclose(np.asarray(model.predict(x)["p_1"]), plain.predict_proba(x)[:, 1], atol=1e-6)
    model.update(new, strategy="refit")
    model.save(tmp_path / "updated.skops", version="v2")
    updated = read_plainly(tmp_path / "updated.skops")
    own = updated.predict_proba(x)[:, 1]
    np.testing.assert_allclose(np.asarray(model.version("v2").predict(x)["p_1"]), own, atol=1e-6)
    with pytest.raises(Unsafe, match="holds a booster inside a pipeline"):  # a stranger's file
        open_model(tmp_path / "updated.skops")
    assert open_model(tmp_path / "updated.skops", trust=tmp_path / "updated.skops").obj is not None


def test_of_a_search_the_best_estimator_is_kept_and_said(rows, tmp_path: Path) -> None:
    search = GridSearchCV(make_pipeline(front(), LogisticRegression(max_iter=300)), {"logisticregression__C": [0.1, 1]})
    joblib.dump(fit(search, rows), tmp_path / "grid.pkl")
    model = em.open(tmp_path / "r").adopt(
        tmp_path / "grid.pkl", data=rows, target="survived", name="m", trust=tmp_path / "grid.pkl"
    )
    assert any("GridSearchCV was given" in note for note in model.adoption.notes)
    x = make_rows(300, 3).drop(columns="survived")
    np.testing.assert_allclose(np.asarray(model.predict(x)["p_1"]), search.predict_proba(x)[:, 1], atol=1e-6)


def test_a_search_over_a_booster_becomes_that_booster(rows, tmp_path: Path) -> None:
    search = GridSearchCV(BOOSTERS["lightgbm"](), {"num_leaves": [7, 15]}, cv=2)
    search.fit(rows[["age", "siblings"]], rows.survived)
    opened = open_model(search)
    assert opened.framework.__name__.endswith("lightgbm") and "GridSearchCV" in opened.notes[0]


def test_the_part_of_a_dict_is_named(rows, tmp_path: Path) -> None:
    plain = fit(make_pipeline(front(), LogisticRegression(max_iter=300)), rows)
    file = tmp_path / "dict.pkl"
    joblib.dump({"model": plain, "threshold": 0.4, "deep": {"list": [plain]}}, file)
    with pytest.raises(BadModel, match=r"a dict of 'model' \(Pipeline\), 'threshold' \(float\)") as error:
        open_model(file, trust=file)
    assert "`object_path` model" in error.value.hint
    with pytest.raises(NotFound, match="'modell'"):
        open_model(file, trust=file, object_path="modell")
    for path in ("model", "deep.list.0"):
        assert isinstance(open_model(file, trust=file, object_path=path).obj, type(plain))
    with pytest.raises(BadSetting, match="a pickle that you trust"):
        open_model(file, object_path="model")


class Served:
    """A model as a service holds it."""

    def __init__(self, **parts: object) -> None:
        self.__dict__.update(parts)


@pytest.mark.parametrize(
    ("whole", "path", "said"),
    [
        ({"threshold": 0.4}, "model", "file.pkl also holds 'threshold' (0.4): it is not used"),
        ({"scaler": StandardScaler(), "labels": {"no": 0}}, "model", "'scaler' (StandardScaler), 'labels' (dict): it"),
        (["2024-01-01", True], "2", "'0' (str), '1' (True): it is not used, and the answers are those of 2 alone"),
        (Served(threshold=0.25), "model", "also holds 'threshold' (0.25)"),
        ({}, "model", None),
    ],
)
def test_what_lies_beside_the_named_part_is_said(rows, whole, path, said, tmp_path: Path) -> None:
    plain = LogisticRegression().fit(rows[["siblings"]], rows.survived)
    if isinstance(whole, Served):
        whole = Served(model=plain, **vars(whole))
    else:
        whole = [*whole, plain] if isinstance(whole, list) else {"model": plain, **whole}
    file = tmp_path / "file.pkl"
    joblib.dump(whole, file)
    adopted = em.open(tmp_path / "r").adopt(
        file, data=rows, target="survived", name="m", trust=file, object_path=path, inputs=("siblings",)
    )
    assert (said is None and "also holds" not in str(adopted.adoption)) or said in str(adopted.adoption)
    answers = np.asarray(adopted.predict(rows)["p_1"])
    np.testing.assert_allclose(answers, plain.predict_proba(rows[["siblings"]])[:, 1], atol=1e-6)


def test_a_vectorizer_and_its_model_become_one_model(tmp_path: Path) -> None:
    old, later = make_texts(700, 1), make_texts(200, 3)
    vectorizer = TfidfVectorizer().fit(old.message)
    classifier = LogisticRegression().fit(vectorizer.transform(old.message), old.topic)
    file = tmp_path / "both.sav"
    file.write_bytes(pickle.dumps({"vectorizer": vectorizer, "classifier": classifier}))
    model = em.open(tmp_path / "r").adopt(
        file, data=old, target="topic", name="m", trust=file, object_path="vectorizer,classifier", inputs=("message",)
    )
    own = classifier.predict_proba(vectorizer.transform(later.message))
    np.testing.assert_allclose(np.asarray(model.predict(later)["p_login"]), own[:, 1], atol=1e-6)
    with pytest.raises(BadModel, match="transforms nothing"):
        open_model(file, trust=file, object_path="classifier,classifier")


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".sav"])
def test_a_pickle_under_any_usual_name_is_refused_until_it_is_trusted(suffix, rows, tmp_path: Path) -> None:
    file = tmp_path / f"m{suffix}"
    joblib.dump(BOOSTERS["xgboost"]().fit(rows[["age", "siblings"]], rows.survived), file)
    with pytest.raises(Unsafe, match="is a pickle"):
        open_model(file)
    assert open_model(file, trust=file).framework.__name__.endswith("xgboost")


def test_own_functions_and_classes_are_named_as_what_cannot_be_kept(rows, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "ours.py").write_text(
        "from sklearn.base import BaseEstimator, TransformerMixin\n\n\n"
        "def keep(frame):\n    return frame\n\n\n"
        "class Keep(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, x, y=None):\n        return self\n\n"
        "    def transform(self, x):\n        return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import ours

    file = tmp_path / "own.pkl"
    for step, words in ((FunctionTransformer(ours.keep), "a function to call .keep."), (ours.Keep(), "ours.Keep")):
        joblib.dump(fit(make_pipeline(step, front(), LogisticRegression(max_iter=300)), rows), file)
        with pytest.raises(BadModel, match=words) as error:
            open_model(file, trust=file)
        assert "`trust`" in error.value.hint
    sys.modules.pop("ours")
    monkeypatch.undo()
    with pytest.raises(BadModel, match="needs the module 'ours'"):
        open_model(file, trust=file)


def test_a_threshold_of_its_own_is_kept(rows, tmp_path: Path) -> None:
    inner = make_pipeline(front(), LogisticRegression(max_iter=300))
    plain = fit(FixedThresholdClassifier(inner, threshold=0.3), rows)
    model = em.open(tmp_path / "r").adopt(plain, data=rows, target="survived", name="m")
    x = make_rows(300, 3).drop(columns="survived")
    assert (np.asarray(model.predict(x)["prediction"]) == plain.predict(x)).all()
    assert (plain.predict(x) != inner.fit(rows.drop(columns="survived"), rows.survived).predict(x)).any()


def test_a_tuned_threshold_is_kept_as_it_was_found(rows, tmp_path: Path) -> None:
    tuned = fit(TunedThresholdClassifierCV(make_pipeline(front(), LogisticRegression(max_iter=300))), rows)
    model = em.open(tmp_path / "r").adopt(tuned, data=rows, target="survived", name="m")
    assert any("TunedThresholdClassifierCV was given" in note for note in model.adoption.notes)
    x = make_rows(300, 3).drop(columns="survived")
    assert (np.asarray(model.predict(x)["prediction"]) == tuned.predict(x)).all()
    assert model.champion.load().threshold == tuned.best_threshold_


def test_labels_by_a_rule_of_its_own_are_not_served_as_others(rows, tmp_path: Path) -> None:
    class Careful(LogisticRegression):
        def predict(self, x):
            return (self.predict_proba(x)[:, 1] > 0.8).astype(int)

    Careful.__module__ = LogisticRegression.__module__
    plain = Careful().fit(StandardScaler().fit_transform(rows[["siblings"]]), rows.survived)
    with pytest.raises(BadModel, match="own labels are not the likeliest class"):
        em.open(tmp_path / "r").adopt(plain, data=rows, target="survived", name="m", inputs=("siblings",))


def test_of_equally_likely_classes_the_model_s_own_is_answered(rows, tmp_path: Path) -> None:
    from sklearn.tree import DecisionTreeClassifier

    even = pd.DataFrame({"a": [0, 0, 1, 1] * 50, "y": [0, 1, 1, 1] * 50})
    plain = DecisionTreeClassifier().fit(even[["a"]], even.y)
    assert plain.predict_proba(even[["a"]])[0].tolist() == [0.5, 0.5]
    model = em.open(tmp_path / "r").adopt(plain, data=even, target="y", name="m")
    assert (np.asarray(model.predict(even)["prediction"]) == plain.predict(even[["a"]])).all()


@pytest.mark.parametrize("kind", ["model", "pipeline", "dict"])
def test_a_pickle_of_an_older_scikit_learn_is_taken_with_one_warning(rows, kind, tmp_path: Path, monkeypatch) -> None:
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[["siblings"]], rows.survived)
    model = {"model": plain[-1], "pipeline": plain, "dict": {"model": plain}}[kind]
    with monkeypatch.context() as older:
        older.setattr("sklearn.base.__version__", "0.24.2")
        joblib.dump(model, tmp_path / "old.pkl")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        path = "model" if kind == "dict" else None
        opened = open_model(tmp_path / "old.pkl", trust=tmp_path / "old.pkl", object_path=path)
    assert [str(w.message) for w in seen] == [
        "old.pkl was pickled by another version of its packages (scikit-learn 0.24.2): it may answer otherwise here. "
        "Compare it with the deployed model's answers: --predictions."
    ]
    scores = opened.obj.predict_proba(rows[["siblings"]].to_numpy())
    own = (plain[-1] if kind == "model" else plain).predict_proba(rows[["siblings"]].to_numpy())
    np.testing.assert_allclose(scores, own, atol=1e-12)


class _Broken:
    def __reduce__(self) -> tuple[object, ...]:
        return int, ("no number",)


def test_a_pickle_that_cannot_be_read_names_the_version_that_made_it(tmp_path: Path, monkeypatch) -> None:
    with monkeypatch.context() as older:
        older.setattr("sklearn.base.__version__", "0.24.2")
        joblib.dump([StandardScaler(), _Broken()], tmp_path / "old.pkl")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadModel, match=r"cannot be unpickled \(ValueError") as error:
            open_model(tmp_path / "old.pkl", trust=tmp_path / "old.pkl")
    assert "It was pickled by another version of its packages (scikit-learn 0.24.2)." in error.value.hint
