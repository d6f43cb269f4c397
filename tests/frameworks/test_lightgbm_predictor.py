"""Predictions by LightGBM's library alone: the numbers of its package, which is not imported for them."""

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
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._lightgbm import predictor
from evermodel.plugins.frameworks._native_library import open_library
from evermodel.plugins.frameworks.lightgbm import Boosted, count_trees, predict

lightgbm = pytest.importorskip("lightgbm")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(600, 5))
X[:, 4] = RANDOM.integers(0, 6, 600)
X[RANDOM.random(X.shape) < 0.05] = np.nan
LABELS = {
    "binary": (np.nan_to_num(X[:, 0]) > 0).astype(int),
    "multiclass": RANDOM.integers(0, 3, 600),
    "regression": np.nan_to_num(X[:, 1]) + RANDOM.normal(size=600),
    "poisson": RANDOM.poisson(2.0, 600),
}


def train(objective):
    classes = {"num_class": 3} if objective == "multiclass" else {}
    settings = {"objective": objective, "num_leaves": 7, "verbosity": -1, "num_threads": 1, "seed": 0, **classes}
    return lightgbm.train(settings, lightgbm.Dataset(X, LABELS[objective], categorical_feature=[4]), 20)


def read(text):
    return predictor.load_predictor(text)


@pytest.mark.parametrize("objective", LABELS)
def test_the_numbers_are_those_of_the_package(objective):
    booster = train(objective)
    alone = read(booster.model_to_string())
    assert (alone.width, alone.outputs) == (5, 3 if objective == "multiclass" else 1)
    layouts = (X, X.astype(np.float32), np.asfortranarray(X), X[::2], X[:, ::-1], np.nan_to_num(X).astype(int), X[:1])
    for x in layouts:
        expected = booster.predict(x, validate_features=False)
        assert alone.predict(x).tobytes() == expected.tobytes()
        assert alone.predict(x).shape == expected.shape
    assert alone.predict(X[:0]).shape == ((0, 3) if objective == "multiclass" else (0,))


def test_threads_predict_at_once():
    booster = train("binary")
    alone, expected = read(booster.model_to_string()), booster.predict(X)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: alone.predict(X), range(64)))
    assert all(p.tobytes() == expected.tobytes() for p in found)


def test_what_is_no_model_is_said_in_words():
    with pytest.raises(BadModel, match="LightGBM cannot read the model"):
        read("tree\nversion=v4\nnothing more\n")


def test_more_than_predictions_is_asked_of_the_package():
    text = train("binary").model_to_string()
    native = predictor_model(text)
    assert predict(native, X).tobytes() == native.booster.predict(X).tobytes()
    assert count_trees(native) == 20
    with pytest.raises(TypeError, match="load it anew"):
        copy.deepcopy(native.predictor)


def predictor_model(text):
    from evermodel.plugins.frameworks._lightgbm.text_format import parse

    given = parse(text.encode(), "model.txt")
    return Boosted(None, None, 20, given, predictor=read(text))


def test_a_library_that_is_elsewhere_is_left_to_the_package():
    assert open_library("lightgbm", "not here", "LGBM_RegisterLogCallback") is None
    assert open_library("no_such_package", "lib_lightgbm", "LGBM_RegisterLogCallback") is None


SCRIPT = """
import json, sys, evermodel
registry, rows, out = sys.argv[1:]
evermodel.predict_file("m", rows, to=out, registry=registry)
evermodel.evaluate("m", rows, registry=registry)
evermodel.watch("m", rows, registry=registry)
print(json.dumps(sorted({"lightgbm", "sklearn", "pandas", "scipy.stats"} & sys.modules.keys())))
"""


def test_commands_that_only_predict_import_neither_lightgbm_nor_scikit_learn(tmp_path):
    booster, registry = train("binary"), tmp_path / "registry"
    names = [f"Column_{i}" for i in range(5)]
    rows = pl.DataFrame(dict(zip(names, X.T, strict=True))).with_columns(y=pl.Series(LABELS["binary"]))
    evermodel.adopt(booster, data=rows, target="y", name="m", registry=registry)
    rows.write_parquet(tmp_path / "rows.parquet")
    words = [str(registry), str(tmp_path / "rows.parquet"), str(tmp_path / "out.parquet")]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.strip().splitlines()[-1]) == []
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert np.allclose(found["p_1"].to_numpy(), booster.predict(X), rtol=0.0, atol=1e-7)
