"""Networks whose whole matrix was scaled, dummies and codes too; and names of dummies that say what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

import evermodel as em
from evermodel.core.errors import NotFound

CITIES, NUMBERS, CATEGORIES = ["Bern", "Oslo", "Paris", "Rome"], ["age", "income"], ["city", "member"]


def make_rows(seed: int, n: int = 1500) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "age": random.integers(18, 90, n),
            "income": random.lognormal(10, 0.6, n),
            "city": random.choice(CITIES, n, p=[0.1, 0.2, 0.3, 0.4]),
            "member": random.choice(["no", "yes"], n),
        }
    )
    score = (rows.age - 50) / 12 + 1.5 * (rows.city == "Rome") - (rows.member == "yes") + np.log(rows.income) - 10.5
    return rows.assign(bought=(random.random(n) < 1 / (1 + np.exp(-2 * score))).astype(int))


def dummies(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.get_dummies(rows[NUMBERS + CATEGORIES]).astype(float)


def codes(rows: pd.DataFrame) -> np.ndarray:
    return np.hstack(
        [rows[NUMBERS], OrdinalEncoder(categories=[CITIES, ["no", "yes"]]).fit_transform(rows[CATEGORIES])]
    )


FED = {  # what a team did to its matrix before the network got it
    "standard_all, dummies": (dummies, StandardScaler()),
    "standard_all, codes": (codes, StandardScaler()),
    "minmax_all, codes": (codes, MinMaxScaler()),
    "robust": (lambda rows: rows[NUMBERS].to_numpy(), RobustScaler()),
}


@pytest.mark.parametrize("kind", FED)
def test_a_scaled_matrix_is_fed_as_it_was(kind, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras", reason='needs pip install "evermodel[keras]"')
    encode, scaler = FED[kind]
    rows, later = make_rows(1), make_rows(2)
    x = scaler.fit_transform(np.asarray(encode(rows))).astype("float32")
    keras.utils.set_random_seed(0)
    layers = [keras.Input((x.shape[1],)), keras.layers.Dense(8, activation="relu")]
    network = keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid")])
    network.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    network.fit(x, rows.bought, epochs=12, batch_size=64, verbose=0)
    taken = [*NUMBERS, "bought"] if kind == "robust" else list(rows.columns)
    model = em.open(tmp_path / "r").adopt(network, data=rows[taken], target="bought", name="m")
    expected = network.predict(scaler.transform(np.asarray(encode(later))).astype("float32"), verbose=0)[:, 0]
    given = later[taken].drop(columns="bought")
    np.testing.assert_allclose(model.predict(given)["p_1"].to_numpy(), expected, atol=1e-5)
    model.update(later[taken], strategy="refit", policy="refresh")
    served = model.version("v2").load()
    if "dummies" in kind:  # one file takes raw columns, the scaled dummies made inside
        model.save(tmp_path / "raw.keras", version="v2", with_preprocessing=True)
    assert served.input_shape == network.input_shape


def make_forest(x: Any, y: Any) -> Any:
    return RandomForestClassifier(20, min_samples_leaf=5, random_state=0).fit(x, y)


def make_booster(x: Any, y: Any) -> Any:
    xgboost = pytest.importorskip("xgboost", reason='needs pip install "evermodel[boost]"')
    return xgboost.XGBClassifier(n_estimators=20, n_jobs=1).fit(x, y)


def transform_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Names as a ColumnTransformer gives them: onehotencoder__city_Rome, remainder__age."""
    encoder = OneHotEncoder(categories=[CITIES, ["no", "yes"]], drop="first", sparse_output=False)
    made = make_column_transformer((encoder, CATEGORIES), remainder="passthrough")
    return made.set_output(transform="pandas").fit_transform(rows[NUMBERS + CATEGORIES])


@pytest.mark.parametrize("make", [make_forest, make_booster])
@pytest.mark.parametrize("encode", [dummies, transform_columns])
def test_names_of_dummies_are_read(make, encode, tmp_path: Path) -> None:
    rows, later = make_rows(1), make_rows(2)
    plain = make(encode(rows), rows.bought)
    model = em.open(tmp_path / "r").adopt(plain, data=rows, target="bought", name="m")
    given = later.drop(columns="bought")
    expected = plain.predict_proba(encode(later))[:, 1]
    np.testing.assert_allclose(model.predict(given)["p_1"].to_numpy(), expected, atol=1e-6)
    new = later.assign(city=later.city.where(later.index > 8, "Madrid"))
    model.update(new, strategy="refit", policy="refresh")
    served = model.version("v2").load()  # a city it has no input for is none of those it knows
    if make is make_forest:
        names, answers = list(served.feature_names_in_), served.predict_proba(encode(later))[:, 1]
    else:
        import xgboost

        names, answers = served.feature_names, served.predict(xgboost.DMatrix(encode(later)))
    assert names == list(encode(rows).columns)
    found = model.version("v2").predict(given)["p_1"].to_numpy()
    np.testing.assert_allclose(found, answers, atol=1e-6)


def test_dummies_of_numbers_are_read(tmp_path: Path) -> None:
    rows = make_rows(1).assign(floor=lambda frame: np.arange(len(frame)) % 3)
    x = pd.get_dummies(rows[["age", "floor"]], columns=["floor"])
    plain = make_forest(x, rows.bought)
    model = em.open(tmp_path).adopt(plain, data=rows[["age", "floor", "bought"]], target="bought", name="m")
    answers = model.predict(rows[["age", "floor"]])["p_1"].to_numpy()
    np.testing.assert_allclose(answers, plain.predict_proba(x)[:, 1], atol=1e-6)


def test_a_name_that_stands_for_nothing_is_named(tmp_path: Path) -> None:
    rows = make_rows(1)
    plain = make_forest(dummies(rows).rename(columns={"city_Bern": "city_Lima"}), rows.bought)
    with pytest.raises(NotFound, match="city_Lima"):
        em.open(tmp_path).adopt(plain, data=rows, target="bought", name="m")
