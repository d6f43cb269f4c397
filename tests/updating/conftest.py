"""A small drifting stream and models deployed on its first block."""

from __future__ import annotations

import os

import numpy as np
import polars as pl
import pytest

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def rows(n: int, seed: int, angle: float = 0.0) -> pl.DataFrame:
    """Two numbers, a category and a label; ``angle`` turns the boundary, so that an old model goes stale."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=n), random.normal(10.0, 5.0, size=n)
    kind = random.choice(["red", "green", "blue"], n)
    z = 2.0 * (np.cos(angle) * a + np.sin(angle) * (b - 10.0) / 5.0) + (kind == "red")
    y = (z + random.logistic(size=n) > 0).astype(int)
    return pl.DataFrame({"when": np.arange(n) + seed * 100_000, "a": a, "b": b, "kind": kind, "y": y})


@pytest.fixture(scope="session")
def booster(tmp_path_factory):
    """A LightGBM file trained on ``rows(3000, 1)``: columns a, b, kind as codes in alphabetical order."""
    import lightgbm

    frame = rows(3000, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), codes])
    settings = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "deterministic": True}
    file = tmp_path_factory.mktemp("booster") / "existing_model.txt"
    lightgbm.train(settings, lightgbm.Dataset(x, frame["y"].to_numpy()), 30).save_model(file)
    return file


@pytest.fixture
def adopted(booster, tmp_path):
    """The registry of a model called "m", adopted with reference rows."""
    import evermodel

    registry = tmp_path / "registry"
    evermodel.adopt(booster, data=rows(3000, 2), target="y", name="m", time="when", registry=registry)
    return registry
