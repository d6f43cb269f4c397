"""PyTorch: what only this framework has. The checks common to all are in test_framework_checks.py."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel, BadSetting, EvermodelError, NotFound, Unsafe
from evermodel.core.model.training import Training
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks import torch as plugin

torch = pytest.importorskip("torch")
nn = torch.nn
torch.set_num_threads(1)


class Pictures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c, self.bn, self.p, self.o = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Linear(36, 1)
        self.constant = torch.tensor([2.0])
        self.example_input_array = torch.zeros(2, 3, 8, 8)

    def forward(self, x: Any) -> Any:
        h = self.p(self.bn(self.c(x)).relu())
        return (self.o(h.view(h.size(0), -1)) * self.constant).squeeze(-1)


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l, self.o = nn.LSTM(2, 4, batch_first=True), nn.Linear(4, 3)
        self.example_input_array = torch.zeros(2, 6)

    def forward(self, x: Any) -> Any:
        a, b = torch.chunk(x, 2, 1)
        h, _ = self.l(torch.stack([a, b], -1))
        return torch.log_softmax(self.o(h[:, -1]), 1)


def dense(*last: Any, out: int = 3) -> Any:
    return nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, out), *last)


MODULES: dict[str, Callable[[], Any]] = {
    "dense": dense,
    "softmax": lambda: dense(nn.Softmax(1)),
    "sigmoid": lambda: dense(nn.Sigmoid(), out=1),
    "value": lambda: dense(out=1),
    "pictures": Pictures,
    "sequence": Sequence,
}


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Any, Any]]:
    """Each module, and what it is taken in as: exporting costs seconds, so it is done once."""
    found = {}
    for name, make in MODULES.items():
        torch.manual_seed(0)
        module = make()
        found[name] = (module, plugin.convert_object(module))
    return found


def rows(name: str, n: int = 37, seed: int = 0) -> Array:
    shape = {"pictures": (8, 8, 3), "sequence": (6,)}.get(name, (5,))
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def classified(n: int = 300) -> tuple[Array, Array]:
    x = rows("dense", n)
    return x, np.digitize(x[:, 0] + x[:, 1], [-0.6, 0.6])


@pytest.mark.parametrize("name", MODULES)
def test_a_program_gives_what_the_module_gives(name: str, made: Any) -> None:
    module, program = made[name]
    assert module.training
    x = rows(name)
    given = torch.from_numpy(np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x)
    with torch.no_grad():
        wanted = module.eval()(given)
    module.train()
    wanted = wanted.exp() if name == "sequence" else wanted
    np.testing.assert_allclose(plugin.predict(program, x), wanted.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dense", "pictures"])
def test_a_written_program_is_loaded_by_plain_torch_and_read_back(name: str, made: Any, tmp_path: Path) -> None:
    _, program = made[name]
    plugin.write_file(program, tmp_path / "m.pt2")
    x = rows(name)
    given = torch.from_numpy(np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x)
    plain = torch.export.load(tmp_path / "m.pt2").module()
    with torch.no_grad():
        np.testing.assert_allclose(plain(given).numpy(), plugin.predict(program, x), rtol=1e-5, atol=1e-6)
    again = plugin.read_file(tmp_path / "m.pt2")
    assert sorted(again.tensors) == sorted(program.tensors)
    np.testing.assert_array_equal(plugin.predict(again, x), plugin.predict(program, x))


def test_needs(made: Any) -> None:
    found = {name: plugin.read_signature(program) for name, (_, program) in made.items()}
    assert [(n.shape, n.outputs, n.output, n.task) for n in found.values()] == [
        ((5,), 3, "logit", "multiclass"),
        ((5,), 3, "probability", "multiclass"),
        ((5,), 1, "probability", "binary"),
        ((5,), 1, None, None),
        ((8, 8, 3), 1, None, None),
        ((6,), 3, "probability", "multiclass"),
    ]
    assert found["pictures"].layout == "image"
    assert all(n.network for n in found.values())


@pytest.mark.parametrize("name", ["dense", "softmax", "sequence"])
def test_training_learns(name: str, made: Any) -> None:
    x, y = classified()
    x = x if name != "sequence" else np.hstack([x, x[:, :1]])
    heard: list[Epoch] = []
    told = Training(epochs=15, learning_rate=0.01, classes=(0, 1, 2), validation=(x, y), on_epoch=heard.append)
    trained = plugin.fit(made[name][1], x, y, told, from_scratch=True)
    assert len(heard) == 15
    assert heard[-1].loss < 0.8 * heard[0].loss
    assert (plugin.predict(trained, x).argmax(axis=1) == y).mean() > 0.7


@pytest.mark.parametrize("name", ["sigmoid", "value", "pictures"])
def test_one_output_learns_classes_and_values(name: str, made: Any) -> None:
    x = rows(name, 300)
    z = 20 * x[..., 0].mean(axis=(1, 2)) if name == "pictures" else x[:, 0] * 2
    binary = name == "sigmoid"
    told = Training(epochs=20, learning_rate=0.01, classes=(0, 1) if binary else ())
    trained = plugin.fit(made[name][1], x, (z > 0).astype(int) if binary else z, told, from_scratch=True)
    p = plugin.predict(trained, x).reshape(-1)
    assert ((p > 0.5) == (z > 0)).mean() > 0.85 if binary else np.corrcoef(p, z)[0, 1] > 0.8


def test_batch_statistics_and_dropout_live_while_training(made: Any) -> None:
    x, y = classified()
    program = made["dense"][1]
    trained = plugin.fit(program, x + 3, y, Training(epochs=5, classes=(0, 1, 2)), from_scratch=False)
    assert float((trained.tensors["1.running_mean"] - program.tensors["1.running_mean"]).abs().max()) > 0.1
    still = plugin.fit(program, x, y, Training(epochs=1, learning_rate=0.0, classes=(0, 1, 2)), from_scratch=False)
    torch.testing.assert_close(still.tensors["0.weight"], program.tensors["0.weight"])


def test_training_in_two_parts_is_training_in_one(made: Any, tmp_path: Path) -> None:
    """Adam's memory is saved and taken up again: on the same rows, a step is a step."""
    x, y = classified(32)
    value, told = made["value"][1], Training(epochs=1, learning_rate=0.01)
    plain = plugin.replace_weights(value, plugin.get_weights(value))
    once = plugin.fit(plain, x, y, told, from_scratch=False)
    plugin.save(once, tmp_path)
    twice = plugin.fit(plugin.load(tmp_path), x, y, told, from_scratch=False)
    forgetful = plugin.fit(plugin.replace_weights(once, plugin.get_weights(once)), x, y, told, from_scratch=False)
    assert float(twice.memory["step"][0]) == 2 and float(forgetful.memory["step"][0]) == 1
    assert float((twice.tensors["0.weight"] - forgetful.tensors["0.weight"]).abs().max()) > 1e-4


def test_steps_sampling_weights_and_the_deadline(made: Any) -> None:
    x, y = classified()
    program, heard = made["dense"][1], list[Epoch]()
    only = (y == 2).astype(float)
    for told in (Training(steps=150, sampling=only, decay=True), Training(epochs=15, weight=only * 3)):
        full = Training(**{**vars(told), "classes": (0, 1, 2), "learning_rate": 0.02, "on_epoch": heard.append})
        assert (plugin.predict(plugin.fit(program, x, y, full, from_scratch=True), x).argmax(axis=1) == 2).mean() > 0.9
    assert [e.number for e in heard] == [*range(1, 16)] * 2
    heard.clear()
    plugin.fit(
        program, x, y, Training(epochs=9, classes=(0, 1, 2), deadline=0.0, on_epoch=heard.append), from_scratch=False
    )
    assert len(heard) == 1


@pytest.mark.parametrize("name", ["dense", "softmax", "sigmoid", "value"])
def test_widening_is_exact_at_the_start(name: str, made: Any, tmp_path: Path) -> None:
    program, x = made[name][1], rows(name)
    wide = plugin.widen(program, inputs=7, outputs=5)
    assert (plugin.read_signature(wide).shape, plugin.read_signature(wide).outputs) == ((7,), 5)
    more = np.hstack([x, np.random.default_rng(1).normal(size=(len(x), 2)).astype(np.float32)])
    before, after = chances(name, plugin.predict(program, x)), chances(name, plugin.predict(wide, more))
    np.testing.assert_allclose(after[:, : before.shape[1]], before, atol=2e-4)
    y = np.arange(len(x)) % 5
    trained = plugin.fit(
        wide, more, y, Training(epochs=60, learning_rate=0.02, classes=tuple(range(5))), from_scratch=False
    )
    assert set(plugin.predict(trained, more).argmax(axis=1)) >= {3, 4}
    plugin.save(trained, tmp_path)
    np.testing.assert_array_equal(plugin.predict(plugin.load(tmp_path), more), plugin.predict(trained, more))


def chances(name: str, raw: Array) -> Array:
    """Probabilities of the classes, by what the network's output means."""
    raw = raw.reshape(len(raw), -1).astype(np.float64)
    if raw.shape[1] == 1:
        one = raw if name == "sigmoid" else 1 / (1 + np.exp(-raw))
        return np.hstack([1 - one, one])
    if name in ("softmax", "sigmoid"):
        return raw
    e = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def test_more_classes_than_outputs_are_refused(made: Any) -> None:
    with pytest.raises(BadSetting, match="widen"):
        plugin.fit(made["dense"][1], *classified(), Training(classes=tuple("abcd")), from_scratch=False)


def test_an_export_for_a_fixed_number_of_rows_predicts_any(tmp_path: Path) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.o = nn.Linear(5, 2)

        def forward(self, x: Any) -> Any:
            return self.o(x.reshape(8, 5))

    module = Fixed()
    torch.export.save(torch.export.export(module, (torch.zeros(8, 5),)), tmp_path / "m.pt2")
    program, x = plugin.read_file(tmp_path / "m.pt2"), rows("dense", 21)
    wanted = module.o(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(plugin.predict(program, x), wanted, rtol=1e-5, atol=1e-6)
    trained = plugin.fit(program, x, np.arange(21) % 2, Training(classes=(0, 1), epochs=2), from_scratch=False)
    assert plugin.predict(trained, x).shape == (21, 2)


def test_weights_with_a_factory_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    monkeypatch.chdir(tmp_path)
    (tmp_path / "ournet.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Linear(5, 2))\n"
    )
    module = nn.Sequential(nn.Linear(5, 2))
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    torch.save(module.state_dict(), tmp_path / "w.pt")
    x = rows("dense")
    wanted = module(torch.from_numpy(x)).detach().numpy()
    for name in ("w.safetensors", "w.pt"):
        found = plugin.read_file(tmp_path / name, factory="ournet:make")
        np.testing.assert_allclose(plugin.predict(found, x), wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(BadModel, match="factory"):
        plugin.read_file(tmp_path / "w.safetensors")
    with pytest.raises(NotFound):
        plugin.read_file(tmp_path / "w.safetensors", factory="ournet:nothing")
    with pytest.raises(BadModel, match="module:function"):
        plugin.read_file(tmp_path / "w.safetensors", factory="os.system('x')")


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> Any:
        return Path.write_text, (self.at, "boom")


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_pickle_that_runs_code_is_refused(suffix: str, tmp_path: Path) -> None:
    torch.save(Bomb(tmp_path / "boom"), tmp_path / f"m{suffix}")
    with pytest.raises(Unsafe):
        plugin.read_file(tmp_path / f"m{suffix}", factory="ournet:make")
    assert not (tmp_path / "boom").exists()


def rewritten(whole: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return made.getvalue()


@pytest.fixture(scope="module")
def archived() -> bytes:
    buffer = io.BytesIO()
    program = torch.export.export(dense().eval(), (torch.zeros(2, 5),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, buffer)
    return buffer.getvalue()


def test_pickled_weights_and_sample_inputs_in_an_archive_are_never_opened(archived: bytes, tmp_path: Path) -> None:
    """torch.export.load runs both bombs (PyTorch 2.13); the sample inputs, which nobody needs, do no harm here."""
    bomb = io.BytesIO()
    torch.save(Bomb(tmp_path / "boom"), bomb)

    def arm(name: str, data: bytes) -> bytes:
        return bomb.getvalue() if "sample_inputs" in name else data

    (tmp_path / "inputs.pt2").write_bytes(rewritten(archived, arm))
    assert plugin.predict(plugin.read_file(tmp_path / "inputs.pt2"), rows("dense")).shape == (37, 3)

    def pickled(name: str, data: bytes) -> bytes:
        data = data.replace(b'"use_pickle": false', b'"use_pickle": true') if name.endswith("config.json") else data
        return bomb.getvalue() if name.endswith("weight_0") else data

    (tmp_path / "weights.pt2").write_bytes(rewritten(archived, pickled))
    with pytest.raises(Unsafe, match="pickle"):
        plugin.read_file(tmp_path / "weights.pt2")
    assert not (tmp_path / "boom").exists()


CRAFTED = {
    "an operator that reads files": (b"aten.linear.default", b"aten.from_file.default"),
    "a function of Python": (b"torch.ops.aten.linear.default", b"os.system"),
    "an attribute of an operator": (b"aten.linear.default", b"aten.__class__.mro"),
    "an attribute as an overload": (b"aten.linear.default", b"aten.linear.__getattr__"),
    "a private attribute as an overload": (b"aten.linear.default", b"aten.linear._schemas"),
    "an overload that writes": (b"aten.linear.default", b"aten.linear.out"),
    "an overload on text": (b"aten.linear.default", b"aten.add.str"),
    "a name that is not there": (b'{"name": "linear"}}, "kind"', b'{"name": "nothing"}}, "kind"'),
    "a weight outside its bytes": (b'"sizes": [{"as_int": 16}', b'"sizes": [{"as_int": 90000}'),
    "a weight before its bytes": (b'"storage_offset": {"as_int": 0}', b'"storage_offset": {"as_int": -64}'),
    "a path out of the folder": (b'"path_name": "weight_0"', b'"path_name": "../../etc/passwd"'),
    "a type that is not there": (b'"dtype": 7', b'"dtype": 99'),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_archive_is_refused(what: str, archived: bytes, tmp_path: Path) -> None:
    before, after = CRAFTED[what]
    changed = rewritten(archived, lambda name, data: data.replace(before, after) if name.endswith(".json") else data)
    assert changed != rewritten(archived, lambda name, data: data)
    (tmp_path / "m.pt2").write_bytes(changed)
    with pytest.raises(BadModel):
        plugin.predict(plugin.read_file(tmp_path / "m.pt2"), rows("dense"))


def call(overload: str, arguments: list[dict[str, Any]], name: str) -> dict[str, Any]:
    given = [{"arg": a, "name": "", "kind": 1} for a in arguments]
    target = f"torch.ops.aten.linear.{overload}"
    return {"target": target, "inputs": given, "outputs": [{"as_tensor": {"name": name}}], "metadata": {}}


def test_no_code_runs_through_attributes_of_an_operator(archived: bytes, tmp_path: Path) -> None:
    """``aten.linear.__getattr__`` and ``__setattr__`` as overloads led to ``exec``: a file ran code without --trust."""
    marker = tmp_path / "ran"
    text, tensor = (lambda v: {"as_string": v}), (lambda v: {"as_tensor": {"name": v}})
    nodes = [call("__getattribute__", [text("__init__")], "m"), call("__setattr__", [text("_op"), tensor("m")], "u1")]
    for number, attribute in enumerate(("__globals__", "__getitem__")):
        nodes.append(call("__getattr__", [text(attribute)], f"g{number}"))
        nodes.append(call("__setattr__", [text(("_op", "zz")[number]), tensor(f"g{number}")], f"s{number}"))
    nodes += [call("zz", [text("__builtins__")], "b"), call("__setattr__", [text("_op"), tensor("b")], "u4")]
    nodes += [call("__getattr__", [text("__getitem__")], "i"), call("__setattr__", [text("zz"), tensor("i")], "u5")]
    nodes += [call("zz", [text("exec")], "x"), call("__setattr__", [text("zz"), tensor("x")], "u6")]
    nodes += [call("zz", [text(f"open({str(marker)!r}, 'w')")], "u7")]

    def evil(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        program = json.loads(data)
        graph = program["graph_module"]["graph"]
        graph["nodes"] = nodes + graph["nodes"]
        return json.dumps(program).encode()

    (tmp_path / "m.pt2").write_bytes(rewritten(archived, evil))
    with pytest.raises(Unsafe, match="__getattribute__"):
        plugin.predict(plugin.read_file(tmp_path / "m.pt2"), rows("dense"))
    assert not marker.exists()


def test_a_stored_graph_is_checked_again() -> None:
    from evermodel.plugins.frameworks._torch.operators import operator

    with pytest.raises(Unsafe):
        operator("aten.linear.__class__")


def test_damaged_archives_never_crash(archived: bytes, tmp_path: Path) -> None:
    random, refused = np.random.default_rng(0), 0
    for number in range(200):
        at = int(random.integers(0, len(archived)))
        changed = archived[:at] + bytes(random.integers(0, 256, 1, np.uint8)) + archived[at + 1 :]
        (tmp_path / "m.pt2").write_bytes(archived[:at] if number % 3 == 0 else changed)
        try:
            plugin.predict(plugin.read_file(tmp_path / "m.pt2"), rows("dense", 3))
        except EvermodelError:
            refused += 1
    assert 60 <= refused < 200


def test_keras_models_are_left_to_their_own_plug() -> None:
    foreign = type("Model", (nn.Module,), {"__module__": "keras.src.models"})
    assert not plugin.is_model(foreign())
    assert plugin.is_model(nn.Linear(1, 1))


def test_wrong_shapes_and_wild_values(made: Any) -> None:
    with pytest.raises(BadData, match=r"\(5,\)"):
        plugin.predict(made["dense"][1], np.zeros((3, 4)))
    with pytest.raises(BadData, match="no longer a number"):
        plugin.fit(made["value"][1], rows("dense"), np.full(37, np.inf), Training(), from_scratch=True)


def test_a_graph_is_plain_json(made: Any, tmp_path: Path) -> None:
    plugin.save(made["dense"][1], tmp_path)
    kept = json.loads((tmp_path / "graph.json").read_text())
    assert [node["target"] for node in kept["nodes"]][-1] == "aten.linear.default"
    assert "stack_trace" not in (tmp_path / "graph.json").read_text()
