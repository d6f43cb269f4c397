"""Several programs side by side in one: their calls one after the other, then the weighted mean of their scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.side_by_side import HINT, check_joinable, fold_input, fold_output, outer_shift
from evermodel.plugins.frameworks._torch.program import Graph, Node, Program, run

ROWS = "rows"
Arguments = tuple[tuple[Mapping[str, Any], str], ...]


def join_programs(
    models: Sequence[Model], programs: Sequence[Program], shares: Sequence[float], names: Sequence[str]
) -> Model:
    """One program behind the first model's transform that predicts the weighted mean of log odds, or of values.

    Every tensor keeps its name behind the member's ("recent.0.weight"); the optimizers' memory is left behind. Raises
    BadModel where inputs, outputs or kinds of numbers differ.
    """
    check_joinable(models)
    first = programs[0].graph
    if first.arguments:
        raise BadModel("Programs of several arguments cannot become one file.", HINT)
    if len({(p.graph.dtype, p.graph.batch, _rank(p)) for p in programs}) > 1:
        raise BadModel("Programs of different numbers, or of a fixed count of rows, cannot become one file.", HINT)
    nodes, bound, tensors, trainable = list[Node](), dict[str, str](), dict[str, Any](), list[str]()
    for model, program, share, own in zip(models, programs, shares, names, strict=True):
        bound |= {f"{own}.{name}": f"{own}.{key}" for name, key in program.graph.bound.items()}
        tensors |= {f"{own}.{key}": tensor for key, tensor in program.tensors.items()}
        trainable += [f"{own}.{key}" for key in program.trainable]
        x, raw = f"{own}.{program.graph.x}", program.graph.last()[1]
        nodes += _scaled(own, ROWS, x, fold_input(models[0], model), "input", bound, tensors, first.dtype)
        nodes += _calls(program.graph, raw, own)
        factor, shift = fold_output(models[0], model, first.width)
        folding = share * factor, np.multiply(share, shift)
        nodes += _scaled(own, f"{own}.{raw}", f"{own}.part", folding, "output", bound, tensors, first.dtype)
    nodes += _answer(names, models[0], first)
    graph = dataclasses.replace(first, nodes=tuple(nodes), bound=bound, x=ROWS, output=nodes[-1].names[0])
    joint = Program(graph, tensors, tuple(trainable), programs[0].classes, optimizer=programs[0].optimizer)
    output = dataclasses.replace(models[0].output, temperature=1.0, shift=outer_shift(models[0]))
    return dataclasses.replace(models[0], obj=joint, output=output)


def _rank(program: Program) -> int:
    """Of the raw scores: (n,) and (n, 1) must not be added."""
    import torch

    graph = program.graph
    rows = torch.zeros((graph.batch or 2, *graph.shape), dtype=getattr(torch, graph.dtype))
    with torch.no_grad():
        return int(run(graph, program.tensors, rows, until=graph.last()[1]).ndim)


def _calls(graph: Graph, raw: str, own: str) -> list[Node]:
    """The calls that lead to the raw scores, every name behind the member's own."""
    maker = graph.maker(raw)
    end = len(graph.nodes) if maker is None else graph.nodes.index(maker) + 1
    return [
        dataclasses.replace(
            node,
            given=tuple((_renamed(argument, own), keyword) for argument, keyword in node.given),
            names=tuple(f"{own}.{name}" for name in node.names),
        )
        for node in graph.nodes[:end]
    ]


def _renamed(argument: Any, own: str) -> Any:
    if isinstance(argument, Mapping):
        return {
            key: f"{own}.{value}" if key in ("name", "as_name") and isinstance(value, str) else _renamed(value, own)
            for key, value in argument.items()
        }
    return [_renamed(one, own) for one in argument] if isinstance(argument, list | tuple) else argument


def _scaled(
    own: str,
    source: str,
    result: str,
    folding: tuple[Any, Any],
    called: str,
    bound: dict[str, str],
    tensors: dict[str, Any],
    dtype: str,
) -> list[Node]:
    """``result`` = ``source`` times a factor and a shift, which become tensors that are not trained."""
    import torch

    for name, value in zip((f"{own}.{called}_factor", f"{own}.{called}_shift"), folding, strict=True):
        bound[name] = name
        tensors[name] = torch.from_numpy(np.array(value, dtype=np.float64)).to(getattr(torch, dtype))
    between = f"{result}_scaled"
    return [
        _call("aten.mul.Tensor", (source, f"{own}.{called}_factor"), between),
        _call("aten.add.Tensor", (between, f"{own}.{called}_shift"), result),
    ]


def _answer(names: Sequence[str], model: Model, first: Graph) -> list[Node]:
    """Sums what each member has of the answer, and ends in the activation that the members had."""
    nodes, so_far = list[Node](), f"{names[0]}.part"
    for name in names[1:]:
        nodes.append(_call("aten.add.Tensor", (so_far, f"{name}.part"), f"{name}.sum"))
        so_far = f"{name}.sum"
    if model.contract.task == "regression" or not first.last()[0]:
        return nodes
    if first.width == 1:
        return [*nodes, _call("aten.sigmoid.default", (so_far,), "answer")]
    return [*nodes, _call("aten.softmax.int", (so_far,), "answer", {"as_int": -1})]


def _call(target: str, read: Sequence[str], name: str, *more: Mapping[str, Any]) -> Node:
    given: Arguments = tuple(({"as_tensor": {"name": one}}, "") for one in read) + tuple((one, "") for one in more)
    return Node(target, given, (name,))
