"""A booster adopted with rows whose order means something, and small networks of both kinds."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from tests.updating.conftest import adopted, booster  # noqa: F401  # the same fixtures, under their names


@pytest.fixture(scope="session")
def keras_network():
    import keras

    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.1), keras.layers.Dense(8, "relu")]
    model = keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="session")
def torch_network():
    import torch
    from torch import nn

    from evermodel.plugins.frameworks import torch as plugin

    torch.manual_seed(0)
    hidden = [nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 8), nn.ReLU()]
    return plugin.convert_object(nn.Sequential(*hidden, nn.Linear(8, 3)))
