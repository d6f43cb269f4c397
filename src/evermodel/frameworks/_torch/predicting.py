"""What a program gives for rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evermodel.core.errors import BadData
from evermodel.core.table import Array
from evermodel.frameworks._torch.folding import folded
from evermodel.frameworks._torch.program import Graph, run

AT_ONCE = 4_096
MANY = 64  # rows from which folding costs less than it saves


def rows_of(graph: Graph, x: Any) -> Any:
    """x (n, …) as a tensor the network takes; pictures (n, h, w, c) become (n, c, h, w)."""
    import torch

    x = np.asarray(x)
    if is_picture(graph.shape) and x.ndim == 4 and x.shape[1:] == picture_shape(graph.shape):
        x = np.moveaxis(x, -1, 1)
    if x.shape[1:] != graph.shape:
        raise BadData(f"The network expects rows of shape {graph.shape}. Got an array of shape {x.shape}.")
    return torch.from_numpy(np.array(x, copy=True, order="C")).to(getattr(torch, graph.dtype))


def is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3, 4)


def picture_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(c, h, w) -> (h, w, c)."""
    return (*shape[1:], shape[0])


def predict(graph: Graph, tensors: Mapping[str, Any], x: Any) -> Array:
    """(n,) or (n, k) raw output; log-probabilities come out as probabilities.

    A row's output does not hang on the rows beside it; an export for a fixed number of rows is filled up to it.
    """
    import torch

    size, made = graph.batch or AT_ONCE, []
    rows = rows_of(graph, x)
    with torch.no_grad():
        if len(rows) >= MANY:
            graph, tensors = folded(graph, tensors)
        for at in range(0, max(len(rows), 1), size):
            part = rows[at : at + size]
            short = size - len(part) if graph.batch else 0
            filled = torch.cat([part, part.new_zeros((short, *graph.shape))]) if short else part
            made.append(run(graph, tensors, filled)[: len(part)])
        found = torch.cat(made)
        if graph.last()[0] == "log_softmax":
            found = found.exp()
    return np.asarray(found.to(torch.float32).numpy())


def input_gradient(graph: Graph, tensors: Mapping[str, Any], x: Any, direction: Array) -> Array:
    """The gradient of (direction * raw output).sum() by x (n, columns), the parameters standing still."""
    import torch

    rows, size, made = rows_of(graph, x), graph.batch or AT_ONCE, []
    along = torch.from_numpy(np.array(direction, dtype=np.float32))
    for at in range(0, len(rows), size):
        part = rows[at : at + size].clone().requires_grad_()
        short = size - len(part) if graph.batch else 0
        filled = torch.cat([part, part.new_zeros((short, *graph.shape))]) if short else part
        found = run(graph, tensors, filled)[: len(part)]
        if graph.last()[0] == "log_softmax":
            found = found.exp()
        (gradient,) = torch.autograd.grad(found, part, along[at : at + size].reshape(found.shape).to(found.dtype))
        made.append(gradient)
    return np.asarray(torch.cat(made).to(torch.float64).numpy())
