"""Which columns make two versions answer differently: Shapley values of the difference of their outputs.

For a row and a background row, the columns are switched from the background's values to the row's one after the other,
in a random order and in its reverse; each column is given what its switch changed. Along each order the parts sum to
the whole difference exactly. A model that is linear in its columns gets its exact values, since no order matters there;
two sums of trees get theirs from their leaves, in ``tree_contributions.py``.
Source: Castro, Gomez & Tejada (2009), doi:10.1016/j.cor.2008.04.004; the reverse orders: Mitchell et al. (2022),
arXiv:2104.12199.
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.model.model import Model
from evermodel.explaining.explanation import Contribution, Contributions
from evermodel.explaining.tree_contributions import compute_tree_values

BACKGROUND = 16  # rows, each of them the background of one order and of its reverse
ROWS = 200  # rows that are explained at most
LEAST_ROWS = 10
MOST_SECONDS = 60.0  # about; a version that answers slowly is asked about fewer rows
MOST_PREDICTIONS = 400_000  # of each version; fewer rows are explained where there are many columns
EDGE = 1e-6  # probabilities are moved this far from 0 and 1 before their log-odds are taken
ADDITIVE = 1e-6  # orders that agree so closely, relative to the largest value, left nothing to chance
UNITS = {"regression": "units of the target", "binary": "log-odds", "multiclass": "log-odds of the class predicted"}


def compute_contributions(
    old: Model, new: Model, rows: pl.DataFrame, background: pl.DataFrame, seed: int = 0
) -> tuple[Contributions, Array, tuple[str, ...]]:
    """The contributions by column, and those of each explained row (n, columns) with the columns' names.

    ``rows`` and ``background``: cleaned rows with the inputs of both versions. Cost: rows x 32 x (columns + 1)
    predictions of each version, at most 400,000 and about a minute; of one column rows + 16; of two sums of trees
    rows x 16 x leaves.
    """
    names = tuple(dict.fromkeys(c.name for model in (old, new) for c in model.contract.columns))
    random = np.random.default_rng(seed)
    background = background.select(names).sample(BACKGROUND, with_replacement=background.height < BACKGROUND, seed=seed)
    most = max(LEAST_ROWS, min(ROWS, MOST_PREDICTIONS // (2 * BACKGROUND * (len(names) + 1))))
    explained = rows.select(names)
    if explained.height > most:
        explained = explained[np.sort(random.choice(explained.height, most, replace=False))]
    explained = _limit_seconds(old, new, explained, len(names))
    classes = _choose_classes(new, explained)
    if len(names) == 1:  # whatever differs is due to it
        own = _difference(old, new, explained, classes)
        before = [np.asarray(model.predict(background), dtype=np.float64) for model in (old, new)]
        values = np.stack([own - _subtract(before, at, classes, len(own)) for at in range(BACKGROUND)])[:, :, None]
        return _summarize(old.contract.task, values, names, 0.0, exact=True), values.mean(axis=0), names
    of_trees = _compare_trees(old, new, explained, background, names)
    if of_trees is not None:
        values, error = of_trees
        return _summarize(old.contract.task, values, names, error, exact=True), values.mean(axis=0), names
    by_order, disagreement = [], 0.0
    for at in range(BACKGROUND):
        order = random.permutation(len(names))
        pair = [
            _follow_order(old, new, explained, background[[at] * explained.height], names, o, classes)
            for o in (order, order[::-1])
        ]
        by_order.append((pair[0] + pair[1]) / 2.0)
        disagreement = max(disagreement, float(np.abs(pair[0] - pair[1]).max()))
    values = np.stack(by_order)  # (background rows, rows, columns)
    mean = values.mean(axis=0)
    whole = _difference(old, new, explained, classes) - np.mean(
        [_difference(old, new, background[[at] * explained.height], classes) for at in range(BACKGROUND)], axis=0
    )
    error = float(np.abs(mean.sum(axis=1) - whole).max())
    exact = disagreement <= ADDITIVE * max(1.0, float(np.abs(values).max()))
    return _summarize(old.contract.task, values, names, error, exact=exact), mean, names


def _limit_seconds(old: Model, new: Model, rows: pl.DataFrame, columns: int) -> pl.DataFrame:
    """The rows, or so many of them as two slow versions can be asked about in about a minute; ten at least."""
    for some in (rows.head(LEAST_ROWS), rows):
        began = time.perf_counter()
        for model in (old, new):
            model.predict(some)
        seconds = (time.perf_counter() - began) * 2 * BACKGROUND * (columns + 1)
        if seconds > MOST_SECONDS and (some.height == rows.height or seconds > 10 * MOST_SECONDS):
            return rows.head(max(LEAST_ROWS, int(some.height * MOST_SECONDS / seconds)))
    return rows


def _subtract(predicted: list[Array], at: int, classes: Array | None, rows: int) -> Array:
    """(rows,) new output - old output of the background row ``at``, for the class of each explained row."""
    old, new = (_read_output(np.repeat(p[at : at + 1], rows, axis=0), classes) for p in predicted)
    return np.asarray(new - old)


def _compare_trees(
    old: Model, new: Model, rows: pl.DataFrame, background: pl.DataFrame, names: tuple[str, ...]
) -> tuple[Array, float] | None:
    """Exact values (background rows, rows, columns) of two versions that are sums of trees, and how far they are from
    the sums of the leaves that the rows reach; None where one version is not."""
    parts = []
    for model in (new, old):
        trees = compute_tree_values(model, rows, background, names)
        if trees is None:
            return None
        parts.append(trees)
    values = parts[0].values - parts[1].values
    whole = parts[0].difference - parts[1].difference
    return values, float(np.abs(values.mean(axis=0).sum(axis=1) - whole).max())


def _choose_classes(new: Model, rows: pl.DataFrame) -> Array | None:
    """The class whose log-odds are explained, of each row: class 1 of two, else the one that the new version
    predicts."""
    if new.contract.task == "regression":
        return None
    return np.ones(rows.height, int) if new.contract.task == "binary" else new.predict(rows).argmax(axis=1)


def _difference(old: Model, new: Model, rows: pl.DataFrame, classes: Array | None) -> Array:
    """(n,) new output - old output of cleaned rows."""
    return _output(new, rows, classes) - _output(old, rows, classes)


def _output(model: Model, rows: pl.DataFrame, classes: Array | None) -> Array:
    return _read_output(np.asarray(model.predict(rows), dtype=np.float64), classes)


def _read_output(predicted: Array, classes: Array | None) -> Array:
    """(n,) of values, or of the log-odds of each row's class."""
    if classes is None:
        return predicted
    p = np.clip(predicted[np.arange(len(predicted)), np.resize(classes, len(predicted))], EDGE, 1.0 - EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))


def _follow_order(
    old: Model,
    new: Model,
    rows: pl.DataFrame,
    background: pl.DataFrame,
    names: tuple[str, ...],
    order: Array,
    classes: Array | None,
) -> Array:
    """(n, columns): what each column's switch changed, all steps predicted at once."""
    steps, mixed = [background], background
    for position in order:
        mixed = mixed.with_columns(rows[names[position]])
        steps.append(mixed)
    outputs = _difference(old, new, pl.concat(steps), classes).reshape(len(steps), rows.height)
    values = np.empty((rows.height, len(names)))
    values[:, order] = np.diff(outputs, axis=0).T
    return values


def _summarize(task: str, values: Array, names: tuple[str, ...], error: float, *, exact: bool) -> Contributions:
    mean = values.mean(axis=0)
    importance = np.abs(mean).mean(axis=0)
    total = float(importance.sum()) or 1.0
    # Every background row gives one estimate; what they differ by is chance in the orders and in the background.
    spread = np.abs(values).mean(axis=1).std(axis=0, ddof=1) / np.sqrt(len(values))
    columns = tuple(
        Contribution(names[i], float(importance[i]), float(mean[:, i].mean()), float(importance[i] / total))
        for i in np.argsort(-importance, kind="stable")
    )
    return Contributions(
        UNITS[task], mean.shape[0], len(values), exact, error, float(spread.max()) if len(names) else 0.0, columns
    )
