"""Networks that swell when they are read or asked: giant shapes, repetition, archives that unpack to gigabytes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def rewrite(source: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """An archive with some of its members changed."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(source)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def edit_json(end: str, edit: Callable[[Json], object]) -> Callable[[str, bytes], bytes]:
    """Edits the JSON of members whose name ends so."""

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith(end):
            return data
        found = json.loads(data)
        edit(found)
        return json.dumps(found).encode()

    return change


def replace(end: str, data: bytes) -> Callable[[str, bytes], bytes]:
    return lambda name, was: data if name.endswith(end) else was


# -- Keras -------------------------------------------------------------------------------------------------------------
def make_keras(folder: Path) -> dict[str, bytes]:
    import keras

    layers, inputs = keras.layers, keras.Input((4,))
    found = {}
    many = {
        "plain": lambda x: x,
        "repeated": lambda x: layers.GlobalAveragePooling1D()(layers.RepeatVector(1_500_000_000)(x)),
        "grown": lambda x: layers.GlobalAveragePooling1D()(layers.UpSampling1D(500_000_000)(layers.Reshape((4, 1))(x))),
    }
    for name, body in many.items():
        model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(body(inputs)))
        at = folder / f"made {name}.keras"
        model.save(at)
        found[name] = at.read_bytes()
        at.unlink()
    return found


def write_keras_attacks(folder: Path) -> list[Path]:
    made = make_keras(folder)
    plain = made.pop("plain")

    def set_dense(**config: object) -> Callable[[str, bytes], bytes]:
        return edit_json("config.json", lambda c: c["config"]["layers"][-1]["config"].update(config))

    attacks = {
        **made,
        "a billion units": rewrite(plain, set_dense(units=1_000_000_000)),
        "minus one units": rewrite(plain, set_dense(units=-1)),
        "units that are text": rewrite(plain, set_dense(units="os.system")),
        "an activation that is a path": rewrite(plain, set_dense(activation="../../etc/passwd")),
        "a giant input": rewrite(
            plain,
            edit_json("config.json", lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**10])),
        ),
        "weights of 300 MB of zeros": rewrite(plain, replace("model.weights.h5", b"\0" * 300_000_000)),
        "a config of 200 MB": rewrite(plain, replace("config.json", b" " * 200_000_000)),
        "a config that is a number": rewrite(plain, replace("config.json", b"7")),
        "no weights": rewrite(plain, replace("model.weights.h5", b"")),
        "metadata that is nested": rewrite(plain, replace("metadata.json", b"[" * 200_000)),
        "cut": plain[: len(plain) // 2],
    }
    files = []
    for name, data in attacks.items():
        at = folder / f"keras {name}.keras"
        at.write_bytes(data)
        files.append(at)
    return files


# -- PyTorch -----------------------------------------------------------------------------------------------------------
def make_torch(folder: Path) -> bytes:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(4, 8), torch.nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(self.b(torch.relu(self.a(x))))

    rows = {0: torch.export.Dim("rows")}
    program = torch.export.export(Net().eval(), (torch.zeros(2, 4),), dynamic_shapes=(rows,))
    at = folder / "made.pt2"
    torch.export.save(program, at)
    data = at.read_bytes()
    at.unlink()
    return data


def text(value: str) -> Json:
    return {"arg": {"as_string": value}, "name": "", "kind": 1}


def tensor(name: str) -> Json:
    return {"arg": {"as_tensor": {"name": name}}, "name": "", "kind": 1}


def node(target: str, inputs: list[Json], output: str = "q") -> Json:
    return {"target": target, "inputs": inputs, "outputs": [{"as_tensor": {"name": output}}], "metadata": {}}


def with_nodes(*nodes: Json) -> Callable[[str, bytes], bytes]:
    def edit(model: Json) -> None:
        graph = model["graph_module"]["graph"]
        graph["nodes"] = [*nodes, *graph["nodes"]]

    return edit_json("models/model.json", edit)


def with_shapes(sizes: list[int], strides: list[int]) -> Callable[[str, bytes], bytes]:
    def edit(found: Json) -> None:
        for told in found["config"].values():
            told["tensor_meta"]["sizes"] = [{"as_int": n} for n in sizes]
            told["tensor_meta"]["strides"] = [{"as_int": n} for n in strides]

    return edit_json("weights_config.json", edit)


def number(value: int) -> Json:
    return {"arg": {"as_int": value}, "name": "", "kind": 1}


def numbers(*values: int) -> Json:
    return {"arg": {"as_ints": list(values)}, "name": "", "kind": 1}


def write_torch_attacks(folder: Path) -> list[Path]:
    plain = make_torch(folder)
    linear = "torch.ops.aten.linear."
    squares = [node("_operator.add", [number(3), number(0)], "q0")]
    squares += [node("_operator.mul", [tensor(f"q{i}"), tensor(f"q{i}")], f"q{i + 1}") for i in range(40)]
    changes: dict[str, Callable[[str, bytes], bytes]] = {
        "an attribute of an operator": with_nodes(node(linear + "__getattribute__", [text("__init__")])),
        "an attribute set": with_nodes(node(linear + "__setattr__", [text("_op"), tensor("p_a_weight")])),
        "globals": with_nodes(node(linear + "__getattr__", [text("__globals__")])),
        "an overload there is not": with_nodes(node(linear + "zz", [text("exec")])),
        "an operator that writes a file": with_nodes(node("torch.ops.aten.save.default", [text("a file")])),
        "an operator of another library": with_nodes(node("torch.ops.mkldnn._linear_pointwise.default", [])),
        "os.system": with_nodes(node("os.system", [text("true")])),
        "builtins.eval": with_nodes(node("builtins.eval", [text("1")])),
        "an operator of Python": with_nodes(node("_operator.attrgetter", [text("__class__")])),
        "a tensor of 3.6 billion": with_nodes(
            node("torch.ops.aten.full.default", [numbers(60_000, 60_000), number(1)])
        ),
        "a division by zero": with_nodes(node("_operator.floordiv", [number(1), number(0)])),
        "a text of 8 GB": with_nodes(node("_operator.mul", [text("aaaaaaaa"), number(10**9)])),
        "a number of a trillion digits": with_nodes(*squares),
        "strides of zero": with_shapes([40_000, 30_000], [0, 0]),
        "a shape of a trillion": with_shapes([1_000_000, 1_000_000], [1_000_000, 1]),
        "negative shapes": with_shapes([-4, 8], [8, 1]),
        "negative strides": with_shapes([8, 4], [-4, -1]),
        "a graph that is nested": replace("models/model.json", b'{"a":' + b"[" * 200_000),
        "a graph of 120 MB": replace("models/model.json", b'{"x":[' + b"{}," * 40_000_000 + b"0]}"),
        "a weight of 1.5 GB of zeros": replace("weight_0", b"\0" * 1_500_000_000),
        "a weight that is gone": replace("weight_0", b""),
    }
    files = []
    for name, change in changes.items():
        at = folder / f"torch {name}.pt2"
        at.write_bytes(rewrite(plain, change))
        files.append(at)
    cut = folder / "torch cut.pt2"
    cut.write_bytes(plain[: len(plain) // 2])
    return [*files, cut]
