"""A program without some of its channels: the same calls, smaller tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.channel_groups import Channels, Group
from evermodel.plugins.frameworks._torch.program import SHAPING, Graph, Node, Program, cut_arguments, values_of

SAME = frozenset(
    [
        "relu",
        "relu_",
        "relu6",
        "relu6_",
        "gelu",
        "silu",
        "silu_",
        "tanh",
        "tanh_",
        "sigmoid",
        "sigmoid_",
        "hardtanh",
        "hardtanh_",
        "hardswish",
        "hardswish_",
        "hardsigmoid",
        "hardsigmoid_",
        "leaky_relu",
        "leaky_relu_",
        "elu",
        "elu_",
        "selu",
        "selu_",
        "mish",
        "mish_",
        "softplus",
        "dropout",
        "dropout_",
        "max_pool2d",
        "avg_pool2d",
        "adaptive_avg_pool2d",
        "_adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "upsample_nearest2d",
        "upsample_bilinear2d",
        "mean",
        "contiguous",
        "clone",
        "alias",
        "detach",
    ]
)  # work on each channel for itself
TOGETHER = frozenset(("add", "add_", "sub", "sub_", "mul", "mul_", "maximum", "minimum"))
GROUPS_AT = 6  # the argument of conv2d that says how many groups
_FLATTEN = ("aten.flatten.using_ints", ({"as_int": 1}, ""))


@dataclass
class Walk:
    """What is known while a program is walked through: of each name its value's shape, its channels along axis 1."""

    graph: Graph
    tensors: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    channels: Channels = field(default_factory=Channels)
    known: dict[str, Array] = field(default_factory=dict)
    flattened: set[str] = field(default_factory=set)  # names made by reshaping (n, c, h, w) to (n, c*h*w)
    depthwise: dict[str, Array] = field(default_factory=dict)

    def slot(self, name: str, axes: Mapping[int, Array], *, counts: bool = True) -> None:
        key = self.graph.bound[name]
        self.channels.slot(key, self.tensors[key].numpy(), axes, counts=counts)


def find_channel_groups(program: Program) -> list[Group]:
    """Channels that can be taken out. Raises BadModel where there are none."""
    found = [g for g in _walk(program).channels.groups() if g.width > 1]
    if not found:
        raise BadModel(
            "No channel of this network can be taken out: none lies between two layers we know.",
            "linear, conv2d, batch_norm, add, cat, flatten, pooling and activations are known.",
        )
    return found


def remove_channels(program: Program, removed: Mapping[str, Array]) -> Program:
    """A smaller program; Adam's memory, which has the old shapes, is left behind."""
    walk = _walk(program)
    gone = walk.channels.find_removed(removed)
    nodes = tuple(_changed(node, walk, gone) for node in program.graph.nodes)
    result = _filled(program, {key: walk.channels.cut(key, gone) for key in walk.channels.slots})
    return dataclasses.replace(result, graph=dataclasses.replace(program.graph, nodes=nodes))


def mask_channels(program: Program, removed: Mapping[str, Array]) -> Program:
    """The program in its old size, those channels' weights zero."""
    walk = _walk(program)
    gone = walk.channels.find_removed(removed)
    return _filled(program, {key: walk.channels.mask(key, gone) for key in walk.channels.slots})


def _filled(program: Program, values: Mapping[Any, Array]) -> Program:
    import torch

    changed = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in values.items()}
    return dataclasses.replace(program, tensors={**program.tensors, **changed}, memory={})


def _changed(node: Node, walk: Walk, gone: Array) -> Node:
    """Reshaping that names a width becomes flattening; a depthwise convolution has as many groups as channels."""
    name = node.names[0] if node.names else ""
    if name in walk.flattened:
        return dataclasses.replace(node, target=_FLATTEN[0], given=(node.given[0], _FLATTEN[1]))
    if name in walk.depthwise:
        stay = int(walk.channels.find_remaining(walk.depthwise[name], gone).sum())
        given = [*node.given]
        given[GROUPS_AT] = ({"as_int": stay}, given[GROUPS_AT][1])
        return dataclasses.replace(node, given=tuple(given))
    return node


def _walk(program: Program) -> Walk:
    import torch

    graph = program.graph
    row = torch.zeros((graph.batch or 2, *graph.shape), dtype=getattr(torch, graph.dtype))
    values = values_of(graph, program.tensors, row)
    shapes = {name: tuple(v.shape) for name, v in values.items() if isinstance(v, torch.Tensor)}
    walk = Walk(graph, program.tensors, shapes)
    for name, value in cut_arguments(graph, row).items():
        walk.known[name] = walk.channels.freeze_channels(int(value.shape[1]) if value.ndim > 1 else 1)
    for node in graph.nodes:
        _step(node, walk)
    walk.channels.freeze(walk.known[graph.output])
    return walk


def _step(node: Node, walk: Walk) -> None:
    reads = [name for name in node.reads() if name in walk.known]
    if node.short == "sym_size" or not reads:
        return  # sizes are asked for anew each time; arithmetic on parameters alone is not cut
    maker = MAKERS.get(node.short) or (_same if node.short in SAME else _together if node.short in TOGETHER else None)
    result = maker(node, walk) if maker is not None and len(node.names) == 1 else None
    if result is not None:
        walk.known[node.names[0]] = result
        return
    for name in reads:
        walk.channels.freeze(walk.known[name])
    for name in node.names:
        shape = walk.shapes.get(name, ())
        walk.known[name] = walk.channels.freeze_channels(shape[1] if len(shape) > 1 else 1)


def _linear(node: Node, walk: Walk) -> Array | None:
    x, weight, *bias = node.reads()
    if len(walk.shapes[x]) != 2 or not {weight, *bias} <= set(walk.graph.bound):
        return None
    out = walk.channels.new_channels(walk.shapes[weight][0], walk.graph.bound[weight])
    walk.slot(weight, {0: out, 1: walk.known[x]})
    for name in bias:
        walk.slot(name, {0: out}, counts=False)
    return out


def _conv(node: Node, walk: Walk) -> Array | None:
    x, weight, *bias = node.reads()
    if not {weight, *bias} <= set(walk.graph.bound) or len(walk.shapes[x]) != 4:
        return None
    given, shape = walk.known[x], walk.shapes[weight]
    group_count = node.given[GROUPS_AT][0].get("as_int", 1) if len(node.given) > GROUPS_AT else 1
    if group_count == 1:
        out = walk.channels.new_channels(shape[0], walk.graph.bound[weight])
        walk.slot(weight, {0: out, 1: given})
    elif group_count == len(given) == shape[0]:
        out = given
        walk.slot(weight, {0: out})
        walk.depthwise[node.names[0]] = out
    else:
        return None
    for name in bias:
        walk.slot(name, {0: out}, counts=False)
    return out


def _normalised(node: Node, walk: Walk) -> Array | None:
    x, *rest = node.reads()
    if not set(rest) <= set(walk.graph.bound):
        return None
    for place, name in enumerate(rest):
        walk.slot(name, {0: walk.known[x]}, counts=place == 0 and len(rest) == 4)
    return walk.known[x]


def _same(node: Node, walk: Walk) -> Array | None:
    x, shape = node.reads()[0], walk.shapes[node.names[0]]
    alike = len(shape) in (2, 4) and shape[1] == len(walk.known[x]) and len(walk.shapes[x]) in (2, 4)
    return walk.known[x] if alike and len(node.reads()) == 1 else None


def _together(node: Node, walk: Walk) -> Array | None:
    reads = node.reads()
    if not all(name in walk.known for name in reads):
        return None
    first = walk.known[reads[0]]
    for name in reads[1:]:
        if len(walk.known[name]) != len(first) or len(walk.shapes[name]) != len(walk.shapes[reads[0]]):
            return None
        walk.channels.join(first, walk.known[name])
    return first


def _beside(node: Node, walk: Walk) -> Array | None:
    reads, dim = node.reads(), node.given[1][0].get("as_int", 0) if len(node.given) > 1 else 0
    rank = len(walk.shapes[node.names[0]])
    if dim % rank != 1 or rank not in (2, 4) or not all(name in walk.known for name in reads):
        return None
    return np.concatenate([walk.known[name] for name in reads])


def _reshaped(node: Node, walk: Walk) -> Array | None:
    x, shape = node.reads()[0], walk.shapes[node.names[0]]
    old = walk.shapes[x]
    if shape == old:
        return walk.known[x] if node.short in ("contiguous", "alias", "clone", "detach") else None
    if len(shape) != 2 or len(old) != 4 or shape[1] != int(np.prod(old[1:])) or shape[0] != old[0]:
        return None
    walk.flattened.add(node.names[0])
    return np.repeat(walk.known[x], old[2] * old[3])


MAKERS: Mapping[str, Callable[[Node, Walk], Array | None]] = {
    "linear": _linear,
    "conv2d": _conv,
    "batch_norm": _normalised,
    "cat": _beside,
    "concat": _beside,
    **dict.fromkeys((s for s in SHAPING if s not in SAME), _reshaped),
}
