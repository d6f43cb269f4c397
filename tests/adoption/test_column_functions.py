"""A network trained on the logarithm of a column: proven by the deployed model's answers, stated, or asked about."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import evermodel as em
from evermodel.core.errors import Ambiguous, BadSetting, NotFound

keras = pytest.importorskip("keras")
SKEWED, OTHERS = ["amount", "income"], ["age", "balance"]


def rows(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": random.lognormal(4.0, 1.3, n),
            "income": random.lognormal(10.0, 0.8, n),
            "age": random.integers(18, 90, n).astype(float),
            "balance": random.normal(0.0, 500.0, n),
            "city": random.choice(["Rome", "Oslo", "Bonn"], n),
        }
    )
    score = np.log1p(frame["amount"]) - 4.0 + 0.8 * (np.log(frame["income"]) - 10.0) + 0.8 * (frame["city"] == "Oslo")
    frame["y"] = (score + 0.02 * (frame["age"] - 50) + random.normal(0.0, 0.6, n) > 0.3).astype(int)
    return frame


def train(function, columns):
    """A bare network behind the preprocessing, its training rows, later rows, and its answers to both."""
    keras.utils.set_random_seed(0)
    scaled = make_pipeline(FunctionTransformer(function), StandardScaler())
    rest = [c for c in SKEWED + OTHERS if c not in columns]
    prep = make_column_transformer((scaled, columns), (StandardScaler(), rest), (OneHotEncoder(), ["city"]))
    learnt, later = rows(3000, 1), rows(500, 2)
    x = prep.fit_transform(learnt).astype("float32")
    network = keras.Sequential(
        [keras.Input((x.shape[1],)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1, "sigmoid")]
    )
    network.compile("adam", "binary_crossentropy")
    network.fit(x, learnt["y"], epochs=25, verbose=0)
    answers = [network.predict(prep.transform(r).astype("float32"), verbose=0)[:, 0] for r in (learnt, later)]
    return network, learnt, later, *answers


@pytest.fixture(scope="module")
def logarithms():
    return train(np.log1p, SKEWED)


def differ(model, later, expected) -> float:
    return float(np.abs(model.predict(later)["p_1"].to_numpy() - expected).max())


def test_a_logarithm_is_asked_about_and_not_guessed(logarithms, tmp_path):
    network, learnt, later, _, expected = logarithms
    registry = em.open(tmp_path / "r")
    with pytest.raises(Ambiguous, match=r"fits the reference rows much better with .*log1p of amount") as asked:
        registry.adopt(network, data=learnt, target="y", name="m")
    assert list(registry) == []
    said = "standard,log1p:amount,log1p:income"
    assert said in asked.value.hint
    model = registry.adopt(network, data=learnt, target="y", name="m", transform=said)
    assert differ(model, later, expected) < 1e-5


@pytest.mark.parametrize(("function", "columns"), [(np.log1p, ["amount"]), (np.log, SKEWED), (np.sqrt, ["amount"])])
def test_the_deployed_models_answers_prove_it(tmp_path, function, columns):
    network, learnt, later, own, expected = train(function, columns)
    model = em.open(tmp_path / "r").adopt(network, data=learnt, target="y", name="m", predictions=own)
    assert differ(model, later, expected) < 1e-5


def test_a_network_without_logarithms_is_taken_as_it_is(tmp_path):
    network, learnt, later, _, expected = train(None, SKEWED)
    assert differ(em.open(tmp_path / "r").adopt(network, data=learnt, target="y", name="m"), later, expected) < 1e-5


def test_a_model_of_scikit_learn_on_a_matrix_that_was_scaled_outside_is_fed_as_stated(tmp_path):
    learnt, later, scaler = rows(1500, 1), rows(300, 2), StandardScaler()
    estimator = MLPClassifier((8,), random_state=0, max_iter=300).fit(scaler.fit_transform(learnt[OTHERS]), learnt["y"])
    expected = estimator.predict_proba(scaler.transform(later[OTHERS]))[:, 1]
    registry = em.open(tmp_path / "r")
    model = registry.adopt(estimator, data=learnt[[*OTHERS, "y"]], target="y", name="m", transform="standard")
    assert differ(model, later, expected) < 1e-6


def test_a_scaling_that_is_stated_wrongly_says_what_can_be_said(logarithms, tmp_path):
    network, learnt, *_ = logarithms
    registry = em.open(tmp_path / "r")
    with pytest.raises(BadSetting, match="FUNCTION:COLUMN"):
        registry.adopt(network, data=learnt, target="y", transform="standard,exp:amount")
    with pytest.raises(NotFound, match="amuont"):
        registry.adopt(network, data=learnt, target="y", transform="standard,log1p:amuont")
    assert list(registry) == []
