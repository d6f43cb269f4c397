"""Hyperparameters of each framework: read as deployed, changed, and there after training."""

from __future__ import annotations

import numpy as np
import pytest

from evermodel.core.errors import BadModel
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.training import Training

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(240, 4)).astype("float32")
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
TOLD = Training(epochs=3, classes=(0, 1, 2), seed=1)
CHANGES = [
    {"hidden_layers": 1},
    {"hidden_layers": 4},
    {"units": 24},
    {"dropout": 0.4},
    {"dropout": 0.0},
    {"hidden_layers": 3, "units": 12, "dropout": 0.2},
]


@pytest.mark.parametrize("kind", ["keras", "torch"])
@pytest.mark.parametrize("values", CHANGES, ids=str)
def test_a_network_is_edited_and_trains(kind, values, request):
    network, plugin = request.getfixturevalue(f"{kind}_network"), FRAMEWORKS.load_module(kind)
    before = plugin.get_hyperparameters(network)
    assert (before["hidden_layers"], before["units"], before["dropout"]) == (2, 16, pytest.approx(0.1))
    made = plugin.replace_hyperparameters(network, values)
    found = plugin.get_hyperparameters(made)
    assert {k: found[k] for k in values} == pytest.approx(values)
    trained = plugin.fit(made, X, Y, TOLD, from_scratch=True)
    p = plugin.predict(trained, X)
    assert p.shape == (240, 3)
    assert np.isfinite(p).all()
    again = plugin.predict(
        plugin.fit(plugin.replace_hyperparameters(network, values), X, Y, TOLD, from_scratch=True), X
    )
    assert np.array_equal(p, again)
    assert plugin.get_hyperparameters(network) == before


@pytest.mark.parametrize("kind", ["keras", "torch"])
def test_an_edited_network_is_stored_and_comes_back(kind, request, tmp_path):
    network, plugin = request.getfixturevalue(f"{kind}_network"), FRAMEWORKS.load_module(kind)
    made = plugin.replace_hyperparameters(network, {"hidden_layers": 3, "units": 10, "dropout": 0.3})
    made = plugin.fit(made, X, Y, TOLD, from_scratch=True)
    plugin.save(made, tmp_path)
    back = plugin.load(tmp_path)
    assert np.array_equal(plugin.predict(back, X), plugin.predict(made, X))
    assert plugin.get_hyperparameters(back) == plugin.get_hyperparameters(made)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_keras_network_takes_another_optimizer(optimizer, keras_network):
    plugin = FRAMEWORKS.load_module("keras")
    values = {"optimizer": optimizer, "learning_rate": 0.01, "weight_decay": 0.001}
    made = plugin.fit(plugin.replace_hyperparameters(keras_network, values), X, Y, TOLD, from_scratch=True)
    found = plugin.get_hyperparameters(made)
    assert found["optimizer"] == optimizer
    assert found["learning_rate"] == pytest.approx(0.01)
    assert found["weight_decay"] == pytest.approx(0.001)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_our_optimizers_step_as_pytorchs_do(name, decay):
    import torch

    from evermodel.plugins.frameworks._torch.optimizer_steps import MOMENTUM, STEPS

    torch.manual_seed(3)
    own = {"w": torch.randn(5, 3), "b": torch.randn(5)}
    theirs = [torch.nn.Parameter(v.clone()) for v in own.values()]
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    more = {"momentum": MOMENTUM} if name == "sgd" else {}
    optimizer, memory = kinds[name](theirs, lr=0.02, weight_decay=decay, **more), {}
    for _ in range(7):
        gradients = [torch.randn_like(p) for p in theirs]
        for p, g in zip(theirs, gradients, strict=True):
            p.grad = g.clone()
        optimizer.step()
        STEPS[name](own, memory, ("w", "b"), gradients, 0.02, decay)
    for mine, p in zip(own.values(), theirs, strict=True):
        assert torch.allclose(mine, p.detach(), atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_torch_network_takes_another_optimizer_and_keeps_it(optimizer, torch_network, tmp_path):
    plugin = FRAMEWORKS.load_module("torch")
    made = plugin.fit(
        plugin.replace_hyperparameters(torch_network, {"optimizer": optimizer}), X, Y, TOLD, from_scratch=True
    )
    plugin.save(made, tmp_path)
    back = plugin.load(tmp_path)
    assert plugin.get_hyperparameters(back)["optimizer"] == optimizer
    usual = plugin.fit(torch_network, X, Y, TOLD, from_scratch=True)
    assert not np.array_equal(plugin.predict(back, X), plugin.predict(usual, X)) or optimizer == "adam"
    further = plugin.fit(back, X, Y, TOLD, from_scratch=False)
    assert set(further.memory) == set(made.memory)
    with pytest.raises(BadModel, match="rprop"):
        plugin.replace_hyperparameters(torch_network, {"optimizer": "rprop"})


def test_a_network_that_branches_keeps_its_structure():
    import keras

    plugin = FRAMEWORKS.load_module("keras")
    x = keras.Input((4,))
    out = keras.layers.Add()([keras.layers.Dense(8, "relu")(x), keras.layers.Dense(8, "tanh")(x)])
    model = keras.Model(x, keras.layers.Dense(3, "softmax")(out))
    model.compile("adam", "sparse_categorical_crossentropy")
    assert "units" not in {d.name for d in plugin.list_dimensions(model)}
    assert plugin.get_hyperparameters(plugin.replace_hyperparameters(model, {"learning_rate": 0.02}))[
        "learning_rate"
    ] == pytest.approx(0.02)
    with pytest.raises(BadModel, match="structure cannot be tuned"):
        plugin.replace_hyperparameters(model, {"units": 4})


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_booster_is_trained_by_other_values(kind):
    plugin, y = FRAMEWORKS.load_module(kind), (Y > 0).astype(int)
    if kind == "lightgbm":
        import lightgbm

        settings = {"objective": "binary", "verbose": -1, "num_leaves": 7, "learning_rate": 0.05}
        model = lightgbm.train(settings, lightgbm.Dataset(X, y), 12)
        assert plugin.get_hyperparameters(model)["num_leaves"] == 7
        values = {"num_leaves": 3, "learning_rate": 0.2, "rounds": 5, "bagging_fraction": 0.7}
    else:
        import xgboost

        model = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "eta": 0.05}, xgboost.DMatrix(X, y), 12)
        assert plugin.get_hyperparameters(model)["max_depth"] == 3
        values = {"max_depth": 1, "learning_rate": 0.2, "rounds": 5, "subsample": 0.7}
    assert plugin.get_hyperparameters(model)["learning_rate"] == pytest.approx(0.05, rel=1e-3)
    assert plugin.get_hyperparameters(model)["rounds"] == 12
    made = plugin.fit(
        plugin.replace_hyperparameters(model, values), X, y, Training(classes=(0, 1), seed=1), from_scratch=True
    )
    assert {k: plugin.get_hyperparameters(made)[k] for k in values} == pytest.approx(values, rel=1e-4)
    assert plugin.count_rounds(made) == 5
    assert set(plugin.get_hyperparameters(made)) <= {d.name for d in plugin.list_dimensions(made)}


def test_an_estimator_behind_a_pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    plugin = FRAMEWORKS.load_module("sklearn")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=3.0)).fit(X, Y)
    assert plugin.get_hyperparameters(model) == {"C": 3.0}
    made = plugin.fit(
        plugin.replace_hyperparameters(model, {"C": 0.01}), X, Y, Training(classes=(0, 1, 2)), from_scratch=True
    )
    assert plugin.get_hyperparameters(made) == {"C": 0.01}
    assert np.abs(made[-1].coef_).sum() < np.abs(model[-1].coef_).sum()
    assert plugin.get_hyperparameters(model) == {"C": 3.0}


@pytest.mark.parametrize("name", ["sklearn", "lightgbm", "xgboost", "keras", "torch"])
def test_every_framework_of_plain_models_can_be_tuned(name):
    from evermodel.core.model.capabilities import Tunable

    assert isinstance(FRAMEWORKS.load_module(name), Tunable)


def test_usual_ranges_name_parameters_that_estimators_have():
    import sklearn.utils

    from evermodel.plugins.frameworks._sklearn.hyperparameters import DIMENSIONS

    known = dict(sklearn.utils.all_estimators())
    for name, dims in DIMENSIONS.items():
        assert {d.name for d in dims} <= set(known[name]().get_params()), name
