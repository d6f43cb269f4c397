"""Batch normalisation folded into the convolution before it: for predicting many rows, the kept program stays."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from evermodel.plugins.frameworks._torch.operators import argument
from evermodel.plugins.frameworks._torch.program import Graph, Node

EPSILON = 7  # position of that argument of batch_norm


def fold_batchnorm(graph: Graph, tensors: Mapping[str, Any]) -> tuple[Graph, Mapping[str, Any]]:
    """The same function out of training with fewer operations: w' = w s, b' = (b - mean) s + shift, s = scale / sd.

    Exact but for rounding. Costs one pass over the convolutions' weights; nothing is kept.
    """
    readers = Counter(name for node in graph.nodes for name in node.reads())
    shared = Counter(graph.bound.values())
    bound, changed, nodes = dict(graph.bound), dict(tensors), list(graph.nodes)
    for norm in [n for n in graph.nodes if n.short == "batch_norm"]:
        conv = graph.maker(norm.reads()[0])
        if conv is None or conv.short != "conv2d" or readers[conv.names[0]] != 1 or conv.names[0] == graph.output:
            continue
        weight = conv.reads()[1]
        if weight not in graph.bound or readers[weight] != 1 or shared[graph.bound[weight]] != 1:
            continue
        known = {name: tensors[key] for name, key in graph.bound.items()}
        name = norm.names[0]
        changed[f"{name}.w"], changed[f"{name}.b"] = _moved(conv, norm, known)
        bound[f"{name}.w"], bound[f"{name}.b"] = f"{name}.w", f"{name}.b"
        given = (conv.given[0], _named(f"{name}.w"), _named(f"{name}.b"), *conv.given[3:])
        at = nodes.index(norm)
        nodes[at] = dataclasses.replace(conv, given=given, names=norm.names)
        nodes.remove(conv)
    return dataclasses.replace(graph, nodes=tuple(nodes), bound=bound), changed


def _moved(conv: Node, norm: Node, known: Mapping[str, Any]) -> tuple[Any, Any]:
    import torch

    statistics = [argument(arg, known) for arg, _ in norm.given[1 : EPSILON + 1]]
    scale, shift, mean, variance, epsilon = *statistics[:4], float(statistics[-1])
    weight = known[conv.reads()[1]]
    bias = argument(conv.given[2][0], known) if len(conv.given) > 2 else None
    by = torch.rsqrt(variance.double() + epsilon)
    by = by if scale is None else by * scale.double()
    start = -mean.double() if bias is None else bias.double() - mean.double()
    moved = start * by if shift is None else start * by + shift.double()
    return (weight.double() * by.reshape(-1, *[1] * (weight.dim() - 1))).to(weight.dtype), moved.to(weight.dtype)


def _named(name: str) -> tuple[dict[str, Any], str]:
    return {"as_tensor": {"name": name}}, ""
