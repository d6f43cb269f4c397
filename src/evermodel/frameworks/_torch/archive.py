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
from evermodel.frameworks._torch.operators import DTYPES, checked_target
from evermodel.frameworks._torch.program import Graph, Node, Program

LARGEST_TEXT = 512 * 2**20  # bytes of a graph
_AGAIN = "Export it again with torch.export.save of PyTorch 2.9 or later, or give --factory and .safetensors."


def read(source: Path | BinaryIO, name: str = "The archive") -> Program:
    """The program in an archive. Raises Unsafe where it holds pickles or unknown operators, BadModel where broken."""
    try:
        with zipfile.ZipFile(source) as archive:
            return _program(archive)
    except EvermodelError:
        raise
    except KeyError as error:
        raise BadModel(f"{name} is not a whole .pt2 program (no {str(error)[:120]}).", _AGAIN) from None
    except Exception as error:  # zip files break in many ways
        said = f"{type(error).__name__}: {error}"[:200]
        raise BadModel(f"{name} is not a whole .pt2 program ({said}).", _AGAIN) from None


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
        ((kind, said),) = spec.items()
        if kind == "user_input":
            inputs.append(said["arg"]["as_tensor"]["name"])
            continue
        key = said[
            {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}[kind]
        ]
        tensors[key], bound[said["arg"]["name"]] = stored[key], key
        if kind == "parameter":
            trainable.append(key)
    outputs = [s["user_output"]["arg"]["as_tensor"]["name"] for s in signature["output_specs"] if "user_output" in s]
    if len(inputs) != 1 or len(outputs) != 1:
        raise BadModel(f"A program must have one input and one output. Got {len(inputs)} and {len(outputs)}.")
    sizes = graph["tensor_values"][inputs[0]]["sizes"]
    shape = tuple(int(size["as_int"]) for size in sizes[1:])
    nodes = tuple(_node(node) for node in graph["nodes"])
    width = _width(graph["tensor_values"][outputs[0]]["sizes"])
    dtype = DTYPES[graph["tensor_values"][inputs[0]]["dtype"]]
    whole = Graph(nodes, bound, inputs[0], outputs[0], shape, dtype, sizes[0].get("as_int"), width)
    return Program(whole, tensors, tuple(dict.fromkeys(trainable)))


def _node(node: Mapping[str, Any]) -> Node:
    given = tuple((one["arg"], one["name"] if one.get("kind") == 2 else "") for one in node["inputs"])
    names: list[str] = []
    several = False
    for output in node["outputs"]:
        ((kind, said),) = output.items()
        if kind == "as_tensors":
            names, several = names + [one["name"] for one in said], True
        elif kind in ("as_tensor", "as_sym_int"):
            names.append(said["name"] if kind == "as_tensor" else said["as_name"])
        else:
            raise ValueError(f"an output of the kind {kind[:40]!r}")
    return Node(checked_target(node["target"]), given, tuple(names), several or len(names) > 1)


def _width(sizes: list[Mapping[str, Any]]) -> int:
    """(n,) and (n, 1) are one output, (n, k) are k."""
    if len(sizes) > 2:
        raise BadModel(f"The program gives {len(sizes)} axes a batch; one or two are known: (n,) or (n, k).")
    return int(sizes[1]["as_int"]) if len(sizes) == 2 else 1
