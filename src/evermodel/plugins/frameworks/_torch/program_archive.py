"""Reads ``.pt2`` archives of torch.export without torch.export.

``torch.export.load`` must not see a stranger's file: it unpickles weights, constants and sample inputs where the file
says ``use_pickle`` (torch.load with weights_only=False) and evaluates the file's size expressions with sympy. Here the
graph is read as JSON, only known operators are let in, and weights are cut out of their bytes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from evermodel.core.errors import BadModel, EvermodelError, Unsafe
from evermodel.plugins.frameworks._torch.operators import DTYPES, check_target
from evermodel.plugins.frameworks._torch.program import ROWS, Argument, Graph, Node, Program

LARGEST_TEXT = 512 * 2**20  # bytes of a graph
_AGAIN = "Export it again with torch.export.save of PyTorch 2.9 or later, or give a factory and .safetensors."


def read(source: Path | BinaryIO, name: str = "The archive") -> Program:
    """The program in an archive. Raises Unsafe where it holds pickles or unknown operators, BadModel where broken."""
    try:
        with zipfile.ZipFile(source) as archive:
            return _program(archive)
    except EvermodelError:
        raise
    except KeyError as error:
        raise BadModel(f"{name} is not a whole .pt2 program (no {str(error)[:120]}).", _AGAIN) from error
    except Exception as error:  # zip files break in many ways
        reason = f"{type(error).__name__}: {error}".partition("\n")[0][:200]  # PyTorch adds its call stack
        raise BadModel(f"{name} is not a whole .pt2 program ({reason}).", _AGAIN) from error


def _program(archive: zipfile.ZipFile) -> Program:
    names = archive.namelist()
    top = names[0].split("/")[0]
    models = [n for n in names if n.startswith(f"{top}/models/") and n.endswith(".json")]
    if len(models) != 1:
        raise BadModel(f"A .pt2 file must hold one program. Got {len(models)}.", _AGAIN)
    stem = Path(models[0]).stem
    described = _json(archive, models[0])["graph_module"]
    stored: dict[str, Any] = {}
    for kind in ("weights", "constants"):
        config = _json(archive, f"{top}/data/{kind}/{stem}_{kind}_config.json")["config"]
        for key, payload in config.items():
            stored[key] = _tensor(archive, f"{top}/data/{kind}/", payload, key)
    return _assembled(described, stored)


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > LARGEST_TEXT:
        raise BadModel(f"{name} is larger than any graph ({archive.getinfo(name).file_size} bytes).")
    return json.loads(archive.read(name))


def _tensor(archive: zipfile.ZipFile, folder: str, payload: Mapping[str, Any], key: str) -> Any:
    """One tensor out of its bytes: shape and strides must lie inside them."""
    import torch

    if payload["use_pickle"] or payload["tensor_meta"] is None:
        raise Unsafe(f"The weight {key[:60]!r} is stored as a pickle, which can run code.", _AGAIN)
    meta, path = payload["tensor_meta"], str(payload["path_name"])
    if "/" in path or "\\" in path:
        raise Unsafe(f"The weight {key[:60]!r} names a path: {path[:60]!r}.")
    dtype = getattr(torch, DTYPES[meta["dtype"]])
    sizes, strides = ([int(one["as_int"]) for one in meta[part]] for part in ("sizes", "strides"))
    data = bytearray(archive.read(folder + path))
    offset = int(meta["storage_offset"]["as_int"])
    if min([offset, *sizes, *strides, 0]) < 0 or len(sizes) != len(strides):
        raise ValueError(f"a weight of sizes {sizes}")
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    # as_strided refuses what lies outside the bytes.
    return flat.as_strided(sizes, strides, offset).clone().contiguous()


def _assembled(described: Mapping[str, Any], stored: Mapping[str, Any]) -> Program:
    graph, signature = described["graph"], described["signature"]
    tensors: dict[str, Any] = {}
    bound: dict[str, str] = {}
    trainable: list[str] = []
    inputs: list[str] = []
    for spec in signature["input_specs"]:
        ((kind, described_value),) = spec.items()
        if kind == "user_input":
            inputs.append(described_value["arg"]["as_tensor"]["name"])
            continue
        key = described_value[
            {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}[kind]
        ]
        tensors[key], bound[described_value["arg"]["name"]] = stored[key], key
        if kind == "parameter":
            trainable.append(key)
    outputs = [s["user_output"]["arg"]["as_tensor"]["name"] for s in signature["output_specs"] if "user_output" in s]
    if not inputs or len(outputs) != 1:
        raise BadModel(f"A program must have an input and one output. Got {len(inputs)} and {len(outputs)}.")
    values = graph["tensor_values"]
    read = [_read_argument(name, values[name], keyword) for name, keyword in _find_keywords(described, inputs).items()]
    rows = {values[name]["sizes"][0].get("as_int") for name in inputs}
    if len(rows) > 1:
        raise BadModel(
            f"The arguments of the program differ in their number of rows: {', '.join(inputs)}.",
            "Export it with one free first dimension for all: dynamic_shapes={0: Dim('batch')} for each argument.",
        )
    nodes = tuple(_node(node) for node in graph["nodes"])
    first, arguments = read[0], tuple(read) if len(read) > 1 or read[0].keyword else ()
    exact = any(one.dtype.startswith(("int", "uint")) for one in read)
    whole = Graph(
        nodes,
        bound,
        x=ROWS if arguments else first.name,
        output=outputs[0],
        shape=(sum(one.width for one in read),) if arguments else first.shape,
        dtype=("float64" if exact else "float32") if arguments else first.dtype,
        batch=rows.pop(),
        width=_width(values[outputs[0]]["sizes"]),
        arguments=arguments,
    )
    return Program(whole, tensors, tuple(dict.fromkeys(trainable)))


def _find_keywords(described: Mapping[str, Any], inputs: list[str]) -> dict[str, bool]:
    """Name of each argument in its order -> whether it is given by name. Raises BadModel for arguments in containers.

    torch.export writes the form of a call as a tree: a tuple of the arguments by place, and a dict of those by name.
    """
    spec = json.loads(described["module_call_graph"][0]["signature"]["in_spec"])[1]
    by_place, by_name = spec["children_spec"]
    listed = [*by_place["children_spec"], *by_name["children_spec"]]
    if len(listed) != len(inputs) or any(one["children_spec"] for one in listed):
        raise BadModel(
            f"The program is called with tensors inside of lists or dicts: {', '.join(inputs)}.",
            "Export a module whose forward takes each tensor as an argument of its own.",
        )
    keywords = json.loads(by_name["context"])
    if inputs[len(by_place["children_spec"]) :] != keywords:
        raise BadModel(f"The program calls its arguments otherwise than they are given: {', '.join(keywords)}.", _AGAIN)
    return {name: name in keywords for name in inputs}


def _read_argument(name: str, value: Mapping[str, Any], keyword: bool) -> Argument:
    """One tensor that the program is called with. Raises BadModel where a row of it has no fixed shape."""
    sizes = value["sizes"]
    if not sizes or any("as_int" not in size for size in sizes[1:]):
        raise BadModel(
            f"The argument {name!r} of the program takes rows of no fixed shape.",
            "Export it with a free number of rows alone: dynamic_shapes={0: Dim('batch')} for each argument.",
        )
    return Argument(name, tuple(int(size["as_int"]) for size in sizes[1:]), DTYPES[value["dtype"]], keyword)


def _node(node: Mapping[str, Any]) -> Node:
    given = tuple((one["arg"], one["name"] if one.get("kind") == 2 else "") for one in node["inputs"])
    names: list[str] = []
    several = False
    for output in node["outputs"]:
        ((kind, described_value),) = output.items()
        if kind == "as_tensors":
            names, several = names + [one["name"] for one in described_value], True
        elif kind in ("as_tensor", "as_sym_int"):
            names.append(described_value["name"] if kind == "as_tensor" else described_value["as_name"])
        else:
            raise ValueError(f"an output of the kind {kind[:40]!r}")
    return Node(check_target(node["target"]), given, tuple(names), several or len(names) > 1)


def _width(sizes: list[Mapping[str, Any]]) -> int:
    """(n,) and (n, 1) are one output, (n, k) are k."""
    if len(sizes) > 2:
        raise BadModel(f"The program gives {len(sizes)} axes a batch; one or two are known: (n,) or (n, k).")
    return int(sizes[1]["as_int"]) if len(sizes) == 2 else 1
