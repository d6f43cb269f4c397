"""Exact Shapley values of additive trees over one common background.

For a row and a background row, a leaf is reached by a mixture of both where each column on its path is taken from one
that satisfies the path there. With a columns that only the row satisfies and b that only the background row does, each
of the a is given value * (a-1)! b! / (a+b)!, each of the b is charged value * a! (b-1)! / (a+b)!. Summed over leaves
this is what all orders of switching the columns give in the mean. Source: Lundberg et al. (2020),
doi:10.1038/s42256-019-0138-9 (interventional TreeSHAP), here by columns, so that one-hot columns count together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.model.capabilities import TreeReading
from evermodel.core.model.decision_tree import Leaf
from evermodel.core.model.model import Model

MOST_LEAVES = 20_000  # of one version: beyond, the exact values would take minutes
FAITHFUL = 1e-3  # within which the trees' scores must be those of the model's own answers
PLAIN = (1e-3, 1.0 - 1e-3)  # probabilities whose log-odds single precision still tells


@dataclass(frozen=True)
class TreeValues:
    """Exact Shapley values of a model's log-odds or value, and what they must sum to.

    ``values`` (background rows, rows, columns); ``difference`` (rows,): the score of each row, by the leaves that it
    reaches, minus the mean score of the background rows.
    """

    values: Array
    difference: Array


def compute_tree_values(
    model: Model, rows: pl.DataFrame, background: pl.DataFrame, names: tuple[str, ...]
) -> TreeValues | None:
    """The exact values of a model, by column of ``names``.

    None where the model is no sum of trees, or its answers are not that sum: several classes, a logarithm of the
    target, leaves that are linear models. Cost: leaves x rows x background rows.
    """
    plugin, task = model.framework, model.contract.task
    if not isinstance(plugin, TreeReading) or model.transform.layout != "matrix" or task == "multiclass":
        return None
    if model.output.target_transform != "none" or model.contract.outputs:
        return None
    trees = plugin.read_trees(model.obj)
    if trees is None or not 0 < len(trees.leaves) <= MOST_LEAVES:
        return None
    given = [np.asarray(model.transform(frame), dtype=trees.dtype).astype(np.float64) for frame in (rows, background)]
    owners = np.array([names.index(f.column) for f in model.transform.features for _ in range(f.width)])
    values = np.zeros((len(given[1]), len(given[0]), len(names)))
    for leaf in trees.leaves:
        _add_leaf(values, leaf, given[0], given[1], owners)
    factor = model.output.scale * model.output.gain if task == "regression" else 1.0 / model.output.temperature
    found = TreeValues(factor * values, factor * (trees.score(given[0]) - trees.score(given[1]).mean()))
    return found if _is_faithful(model, found.values, rows, background) else None


def _add_leaf(values: Array, leaf: Leaf, x: Array, z: Array, owners: Array) -> None:
    """Adds what one leaf gives to each column, for each pair of a background row z and a row x."""
    fits: dict[int, tuple[Array, Array]] = {}
    for split, left in leaf.path:
        column = int(owners[split.feature])
        in_x, in_z = (split.goes_left(part[:, split.feature]) == left for part in (x, z))
        before = fits.get(column)
        fits[column] = (in_x, in_z) if before is None else (before[0] & in_x, before[1] & in_z)
    alive = np.ones((len(z), len(x)), dtype=bool)
    of_x, of_z = np.zeros(alive.shape, dtype=np.int64), np.zeros(alive.shape, dtype=np.int64)
    for in_x, in_z in fits.values():
        alive &= in_x[None, :] | in_z[:, None]
        of_x += in_x[None, :] & ~in_z[:, None]
        of_z += in_z[:, None] & ~in_x[None, :]
    gain, charge = _weights(len(fits))
    gained, charged = leaf.value * alive * gain[of_x, of_z], leaf.value * alive * charge[of_x, of_z]
    for column, (in_x, in_z) in fits.items():
        values[:, :, column] += gained * (in_x[None, :] & ~in_z[:, None]) - charged * (in_z[:, None] & ~in_x[None, :])


def _weights(most: int) -> tuple[Array, Array]:
    """Shares [a, b] of a column that only the row satisfies, and of one that only the background row does."""
    gain, charge = np.zeros((most + 1, most + 1)), np.zeros((most + 1, most + 1))
    for a in range(most + 1):
        for b in range(most + 1):
            if a:
                gain[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                charge[a, b] = factorial(a) * factorial(b - 1) / factorial(a + b)
    return gain, charge


def _is_faithful(model: Model, values: Array, rows: pl.DataFrame, background: pl.DataFrame) -> bool:
    """Whether the values sum to the differences of the model's own answers, where its digits tell."""
    answers = [np.asarray(model.predict(frame), dtype=np.float64) for frame in (rows, background)]
    told = [np.ones(len(a), dtype=bool) for a in answers]
    if model.contract.task == "binary":
        told = [(a[:, 1] > PLAIN[0]) & (a[:, 1] < PLAIN[1]) for a in answers]
        answers = [np.log(a[:, 1].clip(*PLAIN)) - np.log1p(-a[:, 1].clip(*PLAIN)) for a in answers]
    both = told[1][:, None] & told[0][None, :]
    error = np.abs(values.sum(axis=2) - (answers[0][None, :] - answers[1][:, None]))[both]
    scale = max(1.0, float(np.abs(np.concatenate(answers)).max()))
    return bool(error.size) and float(error.max()) <= FAITHFUL * scale
