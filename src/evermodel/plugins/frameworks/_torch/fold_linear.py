"""Folds a scale and a shift of the inputs into a program's first linear layers, and one of the scores into its last."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._torch.program import SHAPING, Node, Program


def fold_input(program: Program, scale: Array, offset: Array) -> Program:
    """A program that gives for x what this one gives for ``scale * x + offset`` (d,). Raises BadModel."""
    import torch

    graph = program.graph
    readers = [node for node in graph.nodes if graph.x in node.reads() and node.short != "sym_size"]
    if len(graph.shape) != 1 or not readers or any(node.short != "linear" for node in readers):
        raise BadModel("A normalisation needs linear layers right behind the input.")
    tensors = dict(program.tensors)
    for weight, bias in dict.fromkeys(_names(program, node) for node in readers):
        wide = tensors[weight].double()
        by = torch.from_numpy(np.asarray(scale, dtype=np.float64))
        shift = wide @ torch.from_numpy(np.asarray(offset, dtype=np.float64))
        tensors[bias] = (tensors[bias].double() + shift).to(tensors[bias].dtype)
        tensors[weight] = (wide * by[None, :]).to(tensors[weight].dtype)
    return dataclasses.replace(program, tensors=tensors, memory={})


def fold_output(program: Program, factor: float, shift: Array) -> Program:
    """A program whose scores before the last activation are ``factor * score + shift`` (k,). Raises BadModel."""
    import torch

    graph, tensors = program.graph, dict(program.tensors)
    node = graph.maker(graph.last()[1])
    while node is not None and node.short in SHAPING:
        node = graph.maker(node.reads()[0])
    if node is None or node.short != "linear":
        raise BadModel("A correction of the output needs a linear layer at the end.")
    weight, bias = _names(program, node)
    more = torch.from_numpy(np.asarray(shift, dtype=np.float64))
    tensors[bias] = (tensors[bias].double() * factor + more).to(tensors[bias].dtype)
    tensors[weight] = (tensors[weight].double() * factor).to(tensors[weight].dtype)
    return dataclasses.replace(program, tensors=tensors, memory={})


def _names(program: Program, node: Node) -> tuple[str, str]:
    """The tensors of a linear layer's weight and bias, read by this layer alone."""
    bound: dict[str, Any] = dict(program.graph.bound)
    read = [bound.get(name) for name in node.reads()[1:3]]
    uses = [sum(key == bound.get(n) for other in program.graph.nodes for n in other.reads()) for key in read]
    if len(read) != 2 or None in read or uses != [1, 1]:
        raise BadModel("The linear layer has no bias of its own that could hold a shift.")
    return str(read[0]), str(read[1])
