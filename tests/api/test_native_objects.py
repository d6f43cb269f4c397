"""A version gives back the object that users of its framework know, and it predicts as the version does."""

from __future__ import annotations

import numpy as np
import pytest

from evermodel.plugins.frameworks import lightgbm as lightgbm_framework
from evermodel.plugins.frameworks import torch as torch_framework
from evermodel.plugins.frameworks import xgboost as xgboost_framework

X = np.random.default_rng(0).normal(size=(200, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


def test_lightgbm_gives_a_booster():
    lightgbm = pytest.importorskip("lightgbm")
    kept = lightgbm_framework.convert_object(
        lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, Y), 5)
    )
    booster = lightgbm_framework.native_object(kept)
    assert isinstance(booster, lightgbm.Booster)
    assert np.allclose(booster.predict(X), lightgbm_framework.predict(kept, X).ravel())


def test_xgboost_gives_a_booster():
    xgboost = pytest.importorskip("xgboost")
    settings = {"objective": "binary:logistic", "nthread": 1}
    kept = xgboost_framework.convert_object(xgboost.train(settings, xgboost.DMatrix(X, Y), 5))
    booster = xgboost_framework.native_object(kept)
    assert isinstance(booster, xgboost.Booster)
    assert np.allclose(booster.predict(xgboost.DMatrix(X)), xgboost_framework.predict(kept, X).ravel(), atol=1e-6)


def test_torch_gives_a_module():
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1), torch.nn.Sigmoid())
    kept = torch_framework.convert_object(network)
    module = torch_framework.native_object(kept)
    assert isinstance(module, torch.nn.Module)
    x = X.astype(np.float32)
    with torch.no_grad():
        answers = module(torch.from_numpy(x)).numpy()
    assert np.allclose(answers, torch_framework.predict(kept, x), atol=1e-6)
