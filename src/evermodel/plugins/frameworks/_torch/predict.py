"""What a program gives for rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.core.model.framework import InputTensor
from evermodel.plugins.frameworks._torch.fold_batchnorm import fold_batchnorm
from evermodel.plugins.frameworks._torch.program import Graph, is_picture, picture_shape, run

AT_ONCE = 4_096
MANY = 64  # rows from which folding costs less than it saves


def rows_of(graph: Graph, x: Any) -> Any:
    """x (n, …) as a tensor the network takes; pictures (n, h, w, c) become (n, c, h, w)."""
    import torch

    x = np.asarray(x)
    if is_picture(graph.shape) and x.ndim == 4 and x.shape[1:] == picture_shape(graph.shape):
        x = np.moveaxis(x, -1, 1)
    if x.ndim == 2 and not is_picture(graph.shape) and x.shape[1] == math.prod(graph.shape):
        x = x.reshape(len(x), *graph.shape)
    if x.shape[1:] != graph.shape:
        raise BadData(f"The network expects rows of shape {graph.shape}. Got an array of shape {x.shape}.")
    return torch.from_numpy(np.array(x, copy=True, order="C")).to(getattr(torch, graph.dtype))


def list_tensors(graph: Graph, tensors: Mapping[str, Any]) -> tuple[InputTensor, ...]:
    """Several arguments, or one of whole numbers or of windows of several steps; () where a row is flat floats."""
    if graph.arguments:
        return tuple(
            InputTensor(one.name, one.row_shape, one.dtype, _count_codes(graph, tensors, one.name, one.dtype))
            for one in graph.arguments
        )
    whole = graph.dtype.startswith(("int", "uint"))
    flat = math.prod(graph.shape[1:]) == 1
    if is_picture(graph.shape) or (flat and not whole):
        return ()
    return (InputTensor(graph.x, graph.shape, graph.dtype, _count_codes(graph, tensors, graph.x, graph.dtype)),)


def _count_codes(graph: Graph, tensors: Mapping[str, Any], name: str, dtype: str) -> int | None:
    """How many codes the embedding knows that reads an argument of whole numbers; None where none reads it directly."""
    if not dtype.startswith(("int", "uint")):
        return None
    for node in graph.nodes:
        reads = node.reads()
        if node.short == "embedding" and len(reads) > 1 and reads[1] == name and reads[0] in graph.bound:
            return int(tensors[graph.bound[reads[0]]].shape[0])
    return None


def predict(graph: Graph, tensors: Mapping[str, Any], x: Any) -> Array:
    """(n,) or (n, k) raw output; log-probabilities come out as probabilities.

    A row's output does not hang on the rows beside it; an export for a fixed number of rows is filled up to it.
    """
    import torch

    size, parts = graph.batch or AT_ONCE, []
    rows = rows_of(graph, x)
    with torch.no_grad():
        if len(rows) >= MANY:
            graph, tensors = fold_batchnorm(graph, tensors)
        for at in range(0, max(len(rows), 1), size):
            part = rows[at : at + size]
            short = size - len(part) if graph.batch else 0
            filled = torch.cat([part, part.new_zeros((short, *graph.shape))]) if short else part
            parts.append(run(graph, tensors, filled)[: len(part)])
        found = torch.cat(parts)
        if graph.last()[0] == "log_softmax":
            found = found.exp()
    return np.asarray(found.to(torch.float32).numpy())


def input_gradient(graph: Graph, tensors: Mapping[str, Any], x: Any, direction: Array) -> Array:
    """The gradient of (direction * raw output).sum() by x (n, columns), the parameters standing still."""
    import torch

    rows, size, parts = rows_of(graph, x), graph.batch or AT_ONCE, []
    along = torch.from_numpy(np.array(direction, dtype=np.float32))
    for at in range(0, len(rows), size):
        part = rows[at : at + size].clone().requires_grad_()
        short = size - len(part) if graph.batch else 0
        filled = torch.cat([part, part.new_zeros((short, *graph.shape))]) if short else part
        found = run(graph, tensors, filled)[: len(part)]
        if graph.last()[0] == "log_softmax":
            found = found.exp()
        slope = along[at : at + size].reshape(found.shape).to(found.dtype)
        (gradient,) = torch.autograd.grad(found, part, slope, materialize_grads=True)
        parts.append(gradient)
    return np.asarray(torch.cat(parts).to(torch.float64).numpy())
