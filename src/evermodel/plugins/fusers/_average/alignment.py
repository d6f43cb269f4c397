"""Permutes the hidden units of one network so that they stand where another network's like units stand.

Two trainings from independent starts learn like units in another order: their mean is noise until the order agrees.
Source: Ainsworth, Hayase, Srinivasa, Git Re-Basin, https://arxiv.org/abs/2209.04836 (weight matching).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import MissingExtra

SWEEPS = 50  # at most; each sweep assigns every layer once, and the match only grows
Layer = tuple[Array, Array]  # kernel (inputs, units), bias (units,)


def align_layers(layers: Sequence[Layer], like: Sequence[Layer], seed: int = 0) -> list[Layer]:
    """The same function as ``layers`` computes, its hidden units in the order that matches ``like`` best.

    A chain of dense layers, each with elementwise activations between. Solves one assignment a layer (Hungarian) until
    nothing moves; O(sweeps x layers x units^3). The output units stay where they are.
    """
    assign = _assignment()
    hidden = len(layers) - 1
    order = [np.arange(k.shape[1]) for k, _ in layers[:-1]]
    random = np.random.default_rng(seed)
    for _ in range(SWEEPS):
        moved = False
        for at in random.permutation(hidden):
            _, found = assign(_match(layers, like, order, int(at)), maximize=True)
            moved |= not np.array_equal(found, order[at])
            order[at] = found
        if not moved:
            break
    return _permuted(layers, order)


def _match(layers: Sequence[Layer], like: Sequence[Layer], order: Sequence[Array], at: int) -> Array:
    """(units, units): how alike unit i of ``like`` and unit j of ``layers`` are, the neighbours ordered as now."""
    kernel, bias = layers[at]
    before = kernel if at == 0 else kernel[order[at - 1]]
    after = layers[at + 1][0]
    after = after if at == len(layers) - 2 else after[:, order[at + 1]]
    likeness = like[at][0].T @ before + np.outer(like[at][1], bias) + like[at + 1][0] @ after.T
    return np.asarray(likeness)


def _permuted(layers: Sequence[Layer], order: Sequence[Array]) -> list[Layer]:
    found: list[Layer] = []
    for at, (kernel, bias) in enumerate(layers):
        kernel = kernel if at == 0 else kernel[order[at - 1]]
        found.append((kernel, bias) if at == len(layers) - 1 else (kernel[:, order[at]], bias[order[at]]))
    return found


def _assignment() -> Any:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise MissingExtra.for_package("scipy", "sklearn", "Aligning two networks") from None
    return linear_sum_assignment
