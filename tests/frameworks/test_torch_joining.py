"""Several PyTorch networks as one program: it predicts what the ensemble does, in plain PyTorch too."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.data.contract import Column, Contract
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.ensemble import average_models
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.training import Training
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles
from evermodel.plugins.frameworks import ensemble as several
from evermodel.plugins.frameworks import torch as plugin
from evermodel.registry.model_export import write_model

torch = pytest.importorskip("torch")
nn = torch.nn
NAMES = ("a", "b", "c", "d", "e")
FRAME = pl.DataFrame({name: np.random.default_rng(i).normal(i, 1 + i, 100) for i, name in enumerate(NAMES)})
HEADS: dict[str, tuple[int, Any, str, str]] = {  # outputs, last layer, task, kind of output
    "sigmoid": (1, nn.Sigmoid, "binary", "probability"),
    "squeezed": (1, lambda: nn.Sequential(nn.Sigmoid(), nn.Flatten(0)), "binary", "probability"),
    "log odds": (1, nn.Identity, "binary", "logit"),
    "softmax": (3, lambda: nn.Softmax(1), "multiclass", "probability"),
    "log softmax": (3, lambda: nn.LogSoftmax(1), "multiclass", "probability"),
    "logits": (3, nn.Identity, "multiclass", "logit"),
    "value": (1, nn.Identity, "regression", "value"),
}


def network(head: str, seed: int, hidden: int = 6, **output: Any) -> Model:
    outputs, last, task, kind = HEADS[head]
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(5, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs), last())
    random = np.random.default_rng(seed)
    transform = Transform(tuple(Feature(n, center=random.normal(), scale=1 + random.random()) for n in NAMES))
    classes: tuple[Any, ...] = {"binary": (0, 1), "multiclass": ("x", "y", "z"), "regression": ()}[task]
    contract = Contract(task, Roles(target="y"), tuple(Column(n, "number", "Float64") for n in NAMES), classes)  # type: ignore[arg-type]
    return Model(contract, transform, plugin.convert_object(module), plugin, Output(kind, **output))  # type: ignore[arg-type]


def three(head: str) -> Model:
    given: list[dict[str, Any]] = [{}, {"temperature": 1.7}, {"shift": (0.1, -0.4, 0.2)[: max(HEADS[head][0], 2)]}]
    if HEADS[head][2] == "regression":
        given = [{"scale": 3.0, "shift": (5.0,)}, {}, {"scale": 40.0, "shift": (-100.0,)}]
    members = [network(head, seed, hidden=6 + seed, **more) for seed, more in enumerate(given)]
    made = average_models(members[0].contract, dict(zip(("recent", "before_1", "deployed"), members, strict=True)))
    shares = dataclasses.replace(made.obj, shares=(0.5, 0.2, 0.3))
    output = dataclasses.replace(made.output, offset=0.4, gain=1.1 if HEADS[head][2] == "regression" else 1.0)
    return dataclasses.replace(made, obj=shares, output=output)


@pytest.mark.parametrize("head", HEADS)
def test_one_program_predicts_the_same_in_plain_pytorch_and_trains_on(head: str, tmp_path: Path) -> None:
    made = three(head)
    wanted, one = made.predict(FRAME), several.export_model(made)
    size = 2e-5 * max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(one.predict(FRAME), wanted, atol=size)
    files = write_model(made, tmp_path / "model.pt2")
    x = one.transform(FRAME)
    plain = torch.export.load(files[0]).module()(torch.from_numpy(np.asarray(x, np.float32))).detach().numpy()
    np.testing.assert_allclose(one.output(plain), wanted, atol=size)
    again = dataclasses.replace(one, obj=plugin.read_file(files[0]))
    np.testing.assert_allclose(again.predict(FRAME), wanted, atol=size)
    y = np.arange(100) % 2 if HEADS[head][2] != "regression" else np.zeros(100)
    trained = plugin.fit(one.obj, x, y, Training(epochs=2, seed=0, classes=made.contract.classes), from_scratch=False)
    before, after = plugin.get_weights(one.obj), plugin.get_weights(trained)
    assert len(before) == sum(len(plugin.get_weights(m.obj)) for m in made.obj.members)
    assert all(not np.array_equal(a, b) for a, b in zip(before[::6], after[::6], strict=True))


def test_what_does_not_fit_together_goes_into_a_folder(tmp_path: Path) -> None:
    flat, deep = network("squeezed", 0), network("sigmoid", 1)
    mixed = average_models(flat.contract, {"a": flat, "b": deep})
    one = several.export_model(mixed)  # the scores before both sigmoids have one shape
    np.testing.assert_allclose(one.predict(FRAME), mixed.predict(FRAME), atol=2e-5)
    filled = dataclasses.replace(deep.transform.features[0], fill=3.0)
    other = dataclasses.replace(deep.transform, features=(filled, *deep.transform.features[1:]))
    wrong = average_models(flat.contract, {"a": network("sigmoid", 0), "b": dataclasses.replace(deep, transform=other)})
    with pytest.raises(BadModel, match="fill"):
        write_model(wrong, tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()
    assert write_model(wrong, tmp_path / "folder")


def test_weights_alone_are_refused_for_several_networks(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="several networks side by side") as told:
        write_model(three("sigmoid"), tmp_path / "model.safetensors")
    assert ".pt2" in str(told.value.hint) and not list(tmp_path.iterdir())
    write_model(network("sigmoid", 0), tmp_path / "model.safetensors")
