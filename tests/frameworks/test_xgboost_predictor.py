"""Predictions by XGBoost's library alone: the numbers of its package, which is not imported for them."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadData, BadModel
from evermodel.plugins.frameworks import xgboost as framework
from evermodel.plugins.frameworks._xgboost.booster import Boosted
from evermodel.plugins.frameworks._xgboost.native_predictor import load_predictor

xgboost = pytest.importorskip("xgboost")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(600, 5))
X[:, 4] = RANDOM.integers(0, 6, 600)
X[RANDOM.random(X.shape) < 0.05] = np.nan
LABELS = {
    "binary:logistic": (np.nan_to_num(X[:, 0]) > 0).astype(int),
    "multi:softprob": RANDOM.integers(0, 3, 600),
    "multi:softmax": RANDOM.integers(0, 3, 600),
    "reg:squarederror": np.nan_to_num(X[:, 1]) + RANDOM.normal(size=600),
    "count:poisson": RANDOM.poisson(2.0, 600),
}
NAMES, TYPES = ["a", "b", "c", "d", "e"], ["q", "q", "q", "q", "c"]


def rows_of(x, typed):
    named = {"feature_names": NAMES, "feature_types": TYPES} if typed else {}
    return xgboost.DMatrix(x, **named, enable_categorical=True)


def train(objective, typed=True, **more):
    classes = {"num_class": 3} if objective.startswith("multi") else {}
    rows = rows_of(X, typed)
    rows.set_label(LABELS[objective])
    return xgboost.train({"objective": objective, "max_depth": 3, "nthread": 1, **classes, **more}, rows, 20)


def read(booster):
    return load_predictor(bytes(booster.save_raw("ubj")))


@pytest.mark.parametrize("typed", [True, False], ids=["with a category", "bare"])
@pytest.mark.parametrize("objective", LABELS)
def test_the_numbers_are_those_of_the_package(objective, typed):
    booster = train(objective, typed)
    alone = read(booster)
    assert (alone.width, alone.feature_names) == (5, NAMES if typed else [])
    whole = np.nan_to_num(X).astype(int)
    whole[:, 4] %= 6
    for x in (X, X.astype(np.float32), np.asfortranarray(X), X[::2], whole, X[:1]):
        for margins in (False, True):
            expected = booster.predict(rows_of(np.ascontiguousarray(x), typed), output_margin=margins)
            found = alone.predict(x, margins=margins)
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["gbtree", "dart"])
def test_threads_predict_at_once(kind):
    booster = train("binary:logistic", booster=kind)
    alone, expected = read(booster), booster.predict(rows_of(X, typed=True))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: alone.predict(X), range(64)))
    assert all(p.tobytes() == expected.tobytes() for p in found)


def test_what_is_no_model_is_said_in_words():
    with pytest.raises(BadModel, match="XGBoost cannot read the model"):
        load_predictor(b"no model at all")


def test_more_than_predictions_is_asked_of_the_package():
    booster = train("binary:logistic")
    raw = bytes(booster.save_raw("ubj"))
    kept = framework.convert_object(booster)
    alone = Boosted(None, kept.recipe, kept.tables, kept.classes, 1, 20, raw=raw, predictor=load_predictor(raw))
    assert framework.predict(alone, X).tobytes() == framework.predict(kept, X).tobytes()
    assert framework.read_signature(alone) == framework.read_signature(kept)
    assert framework.count_trees(alone) == 20
    with pytest.raises(BadData, match="rows of 5 columns"):
        framework.predict(alone, X[:, :4])
    with pytest.raises(TypeError, match="load it anew"):
        copy.deepcopy(alone.predictor)


SCRIPT = """
import json, sys, evermodel
registry, rows, out = sys.argv[1:]
evermodel.predict_file("m", rows, to=out, registry=registry)
evermodel.evaluate("m", rows, registry=registry)
evermodel.watch("m", rows, registry=registry)
print(json.dumps(sorted({"xgboost", "sklearn", "pandas", "scipy.stats"} & sys.modules.keys())))
"""


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softmax"])
def test_commands_that_only_predict_import_neither_xgboost_nor_scikit_learn(objective, tmp_path):
    booster, registry = train(objective, typed=False), tmp_path / "registry"
    rows = pl.DataFrame(dict(zip(NAMES, X.T, strict=True))).with_columns(y=pl.Series(LABELS[objective]))
    evermodel.adopt(booster, data=rows, target="y", name="m", registry=registry)
    rows.write_parquet(tmp_path / "rows.parquet")
    words = [str(registry), str(tmp_path / "rows.parquet"), str(tmp_path / "out.parquet")]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.strip().splitlines()[-1]) == []
    found = pl.read_parquet(tmp_path / "out.parquet")
    here = framework.predict(framework.convert_object(booster), X)
    here = here if here.ndim == 1 else here[:, 1]
    assert np.allclose(found["p_1"].to_numpy(), here, rtol=0.0, atol=1e-6)
