"""A fitted preprocessing of scikit-learn that stands beside a bare model is read, proven, and written as plain data."""

from __future__ import annotations

import json
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

import evermodel
import evermodel as em
from evermodel.core.errors import BadData, BadModel, BadSetting, Unsafe
from evermodel.core.model.transform import Transform
from evermodel.plugins.frameworks._sklearn.preprocessing_features import translate_preprocessing
from evermodel.registry.adoption.given_transform import read_transform, read_transform_table

NUMBERS, TEXTS = ["amount", "age"], ["city", "plan"]
CITIES, PLANS = ["Rome", "Oslo", "Bonn", "Lima"], ["free", "paid"]


def rows(n: int, seed: int = 0, *, gaps: bool = False) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": random.lognormal(4.0, 1.5, n),
            "age": random.integers(18, 90, n).astype(float),
            "city": random.choice(CITIES, n),
            "plan": random.choice(PLANS, n),
            "month": random.integers(1, 13, n),
            "active": random.integers(0, 2, n).astype(bool),
        }
    )
    score = np.log1p(frame["amount"]) - 4.0 + 0.03 * (frame["age"] - 50) + 1.5 * (frame["city"] == "Oslo")
    frame["y"] = (score + random.normal(0, 0.5, n) > 0.3).astype(int)
    if gaps:
        for column in ("amount", "city"):
            frame.loc[random.random(n) < 0.1, column] = np.nan if column == "amount" else None
    return frame


def cleaned(frame: pd.DataFrame) -> pl.DataFrame:
    """As the features get them: numbers, texts, and true and false as numbers."""
    return pl.from_pandas(frame).with_columns(pl.col("active").cast(pl.Float64), pl.col("month").cast(pl.String))


STEPS = {
    "standard": StandardScaler(),
    "standard without mean": StandardScaler(with_mean=False),
    "range": MinMaxScaler((-1, 1)),
    "robust": RobustScaler(),
    "largest": MaxAbsScaler(),
    "imputed, logarithm, standard": make_pipeline(
        SimpleImputer(strategy="median"), FunctionTransformer(np.log1p), StandardScaler()
    ),
    "scaled, then imputed": make_pipeline(StandardScaler(), SimpleImputer()),
    "square root": FunctionTransformer(np.sqrt),
    "union": make_union(StandardScaler(), make_pipeline(SimpleImputer(), FunctionTransformer(np.log1p))),
    "columns": make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), TEXTS),
        (OneHotEncoder(), ["month"]),
        remainder="drop",
    ),
    "first dropped": make_column_transformer((OneHotEncoder(drop="first"), TEXTS), remainder="drop"),
    "two values as one": make_column_transformer((OneHotEncoder(drop="if_binary"), TEXTS), ("passthrough", NUMBERS)),
    "one named category dropped": make_column_transformer(
        (OneHotEncoder(drop=["Lima", "paid"]), TEXTS), ("passthrough", ["age"])
    ),
    "codes in an order of their own": make_column_transformer(
        (OrdinalEncoder(categories=[CITIES, PLANS], handle_unknown="use_encoded_value", unknown_value=-1), TEXTS),
        (StandardScaler(), NUMBERS),
    ),
    "most frequent, then one-hot": ColumnTransformer(
        [("t", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), TEXTS)], remainder="passthrough"
    ),
    "most frequent, then codes": make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder()), TEXTS), ("passthrough", NUMBERS)
    ),
    "a category for missing": make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder()), TEXTS)
    ),
    "missing is a category": make_column_transformer((OneHotEncoder(), TEXTS)),
    "all scaled": make_pipeline(
        make_column_transformer(
            (OneHotEncoder(sparse_output=False), TEXTS), (OrdinalEncoder(), ["month"]), ("passthrough", ["age"])
        ),
        StandardScaler(),
    ),
    "true and false": make_column_transformer((OneHotEncoder(drop="if_binary"), ["active"]), ("passthrough", NUMBERS)),
    "both of true and false": make_column_transformer((OneHotEncoder(), ["active"]), (MinMaxScaler(), NUMBERS)),
}


@pytest.mark.parametrize("name", STEPS)
def test_features_give_what_the_preprocessing_gives(name):
    step = STEPS[name]
    columns = [c for c in rows(2) if c != "y"] if "ColumnTransformer" in repr(step) else NUMBERS
    learnt, later = rows(400, 1, gaps=True)[columns], rows(300, 2, gaps=True)[columns]
    step.fit(learnt)
    features, named = translate_preprocessing(step, "It")
    frame = cleaned(later.assign(**{c: rows(300, 2)[c] for c in rows(2) if c not in later}))
    given = Transform(features, dtype="float64")(frame)
    expected = step.transform(later)
    expected = np.asarray(expected.toarray() if hasattr(expected, "toarray") else expected, dtype=float)
    assert named and given.shape == expected.shape
    np.testing.assert_allclose(given, expected, rtol=1e-9, atol=1e-9)


REFUSED = {
    "a PowerTransformer": (PowerTransformer(), NUMBERS),
    "a KNNImputer": (KNNImputer(), NUMBERS),
    "a FunctionTransformer of exp": (FunctionTransformer(np.exp), NUMBERS),
    "a MinMaxScaler that clips": (MinMaxScaler(clip=True), NUMBERS),
    "a log1p behind another step": (make_pipeline(StandardScaler(), FunctionTransformer(np.log1p)), NUMBERS),
    "joins rare categories": (OneHotEncoder(min_frequency=150), TEXTS),
    "show what was missing": (SimpleImputer(add_indicator=True), NUMBERS),
    "with weights": (FeatureUnion([("s", StandardScaler())], transformer_weights={"s": 2.0}), NUMBERS),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_features_cannot_express_is_refused(words):
    step, columns = REFUSED[words]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step.fit(rows(400, 1)[columns])
    with pytest.raises(BadModel, match=words):
        translate_preprocessing(step, "prep.joblib")


def test_a_step_that_was_tampered_with_is_not_believed():
    class Doubled(StandardScaler):
        __module__ = "sklearn.preprocessing._data"

        def transform(self, X, copy=None):
            return 2 * super().transform(X)

    Doubled.__name__ = "StandardScaler"
    with pytest.raises(BadModel, match="gives other numbers than its steps say"):
        translate_preprocessing(Doubled().fit(rows(50)[NUMBERS]), "It")


def make_preprocessing():
    numbers = make_pipeline(SimpleImputer(), FunctionTransformer(np.log1p), StandardScaler())
    return make_column_transformer((numbers, NUMBERS), (OneHotEncoder(handle_unknown="ignore"), TEXTS))


def make_network(tmp_path):
    """A bare Keras network, the preprocessing beside it in a file of its own, and what both answer for later rows."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    learnt, prep = rows(1500, 1, gaps=True), make_preprocessing()
    x = prep.fit_transform(learnt).astype("float32")
    network = keras.Sequential(
        [keras.Input((x.shape[1],)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")]
    )
    network.compile("adam", "binary_crossentropy")
    network.fit(x, learnt["y"], epochs=4, verbose=0)
    network.save(tmp_path / "existing_model.h5")
    joblib.dump(prep, tmp_path / "prep.joblib")
    later = rows(300, 3, gaps=True)
    return learnt, later, network.predict(prep.transform(later).astype("float32"), verbose=0)[:, 0]


def test_a_network_and_its_preprocessing_in_joblib_answer_as_they_did(tmp_path):
    learnt, later, expected = make_network(tmp_path)
    registry, file, prep = em.open(tmp_path / "r"), tmp_path / "existing_model.h5", tmp_path / "prep.joblib"
    with pytest.raises(Unsafe, match=r"prep\.joblib is a pickle"):
        registry.adopt(file, data=learnt, target="y", name="m", transform=prep)
    assert list(registry) == []
    model = registry.adopt(file, data=learnt, target="y", name="m", transform=prep, trust=prep)
    assert np.abs(model.predict(later)["p_1"].to_numpy() - expected).max() < 1e-5
    with pytest.raises(BadData, match="log1p"):
        model.predict(later.assign(amount=-5.0))
    # a live object says the same as its file
    other = registry.adopt(file, data=learnt, target="y", name="n", transform=joblib.load(prep))
    assert np.abs(other.predict(later)["p_1"].to_numpy() - expected).max() < 1e-5


def test_a_model_that_waits_keeps_its_preprocessing_as_plain_data(tmp_path):
    learnt, later, expected = make_network(tmp_path)
    registry, prep = em.open(tmp_path / "r"), tmp_path / "prep.joblib"
    registry.adopt(tmp_path / "existing_model.h5", target="y", name="m", transform=prep, trust=prep)
    prep.unlink()
    evermodel.update("m", pd.concat([learnt, rows(1500, 5)]), registry=tmp_path / "r", budget=30.0)
    first = evermodel.predict("m", later, version="v2", registry=tmp_path / "r")
    assert np.abs(first["p_1"].to_numpy() - expected).max() < 1e-5


def test_the_saved_file_takes_raw_rows(tmp_path):
    learnt, later, expected = make_network(tmp_path)
    prep = tmp_path / "prep.joblib"
    model = em.open(tmp_path / "r").adopt(
        tmp_path / "existing_model.h5", data=learnt, target="y", name="m", transform=prep, trust=prep
    )
    saved = model.save(tmp_path / "out.keras", with_preprocessing=True)
    import keras
    import tensorflow as tf

    whole = keras.models.load_model(tmp_path / "out.keras")
    given = {
        c: tf.constant(later[c].fillna("").to_numpy()[:, None] if c in TEXTS else later[c].to_numpy()[:, None])
        for c in NUMBERS + TEXTS
    }
    assert saved and np.abs(np.asarray(whole(given))[:, 0] - expected).max() < 1e-5


@pytest.mark.parametrize("make", [make_preprocessing, lambda: STEPS["most frequent, then codes"]])
def test_a_saved_pipeline_takes_raw_rows(tmp_path, make):
    learnt, later, prep = rows(1500, 1, gaps=True), rows(300, 3, gaps=True), make()
    estimator = LogisticRegression(max_iter=500).fit(np.nan_to_num(prep.fit_transform(learnt), nan=50.0), learnt["y"])
    rows_in = learnt.assign(amount=learnt["amount"].fillna(50.0)) if make is not make_preprocessing else learnt
    model = em.open(tmp_path / "r").adopt(estimator, data=rows_in, target="y", name="m", transform=prep)
    model.save(tmp_path / "whole.skops", with_preprocessing=True)
    import skops.io

    named = skops.io.get_untrusted_types(file=tmp_path / "whole.skops")
    whole = skops.io.load(tmp_path / "whole.skops", trusted=named)
    given = later.fillna({"amount": 50.0}) if make is not make_preprocessing else later
    expected = estimator.predict_proba(prep.transform(given))[:, 1]
    columns = [f.column for f in model.champion.transform.features] if hasattr(model.champion, "transform") else None
    found = whole.predict_proba(given[list(dict.fromkeys(columns or NUMBERS + TEXTS))])[:, 1]
    assert np.abs(found - expected).max() < 1e-9


@pytest.mark.parametrize("names", [True, False])
def test_a_model_of_scikit_learn_on_a_matrix_that_was_scaled_outside(tmp_path, names):
    learnt, later = rows(1500, 1), rows(300, 3)
    scaler = StandardScaler()
    x = scaler.fit_transform(learnt[NUMBERS] if names else learnt[NUMBERS].to_numpy())
    estimator = MLPClassifier((8,), random_state=0, max_iter=200).fit(x, learnt["y"])
    raw = later[NUMBERS] if names else later[NUMBERS].to_numpy()
    expected = estimator.predict_proba(scaler.transform(raw))[:, 1]
    model = em.open(tmp_path / "r").adopt(
        estimator, data=learnt[[*NUMBERS, "y"]], target="y", name="m", transform=scaler
    )
    assert np.abs(model.predict(later[NUMBERS])["p_1"].to_numpy() - expected).max() < 1e-6


def test_a_transform_of_another_width_says_so(tmp_path):
    learnt = rows(300, 1)
    estimator = LogisticRegression().fit(learnt[["age"]].to_numpy(), learnt["y"])
    scaler = StandardScaler().fit(learnt[NUMBERS])
    with pytest.raises(BadSetting, match=r"The StandardScaler gives 2 numbers a row; the model takes 1\."):
        em.open(tmp_path / "r").adopt(estimator, data=learnt, target="y", transform=scaler)


def test_a_table_of_numbers_may_name_a_function(tmp_path):
    file = tmp_path / "t.json"
    file.write_text(json.dumps({"amount": {"function": "log1p", "center": 4.0, "scale": 2.0}}))
    x = read_transform_table(file).transform(pl.DataFrame({"amount": [0.0, np.expm1(6.0)]}))
    assert x.tolist() == [[-2.0], [1.0]]
    file.write_text(json.dumps({"amount": {"function": "exp"}}))
    with pytest.raises(BadSetting, match="function 'exp'"):
        read_transform(file)
