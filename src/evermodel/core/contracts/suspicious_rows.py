"""What cannot be an update: copies, wrong labels, the answer among the inputs. Looked at before anything is trained.

Bounds are wide on purpose: drift moves levels and base rates; it does not turn a model's order of rows around in one
slice, make a column that told little tell nearly everything, or repeat rows that never repeated.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.stats.auc import compute_auc

FEW, MANY_BINS = 60, 20  # rows of a slice below which nothing is said; bins a number is cut into
SURE = 4.0  # standard errors
KNOWN = 0.3  # order (0 by chance, 1 perfect) without which a model has nothing to lose
TELLS, MORE = 0.9, 0.35  # a column that is nearly the answer, and by how much more than before; drift reaches .65
REPEATED = 0.1  # share of repeats beyond what is natural


def find_first_copies(frame: pl.DataFrame, natural: float, but: tuple[str | None, ...]) -> Array | None:
    """(n,) bool: the first of each set of equal rows (columns ``but`` aside); None where repeats are natural."""
    columns = [c for c in frame.columns if c not in but]
    first = frame.select(pl.struct(columns).is_first_distinct()).to_series().to_numpy()
    return first if 1.0 - first.mean() > natural + REPEATED else None


def measure_repeats(frame: pl.DataFrame, but: tuple[str | None, ...]) -> float:
    """Share of rows that repeat another one, columns ``but`` aside."""
    columns = [c for c in frame.columns if c not in but]
    return 1.0 - frame.select(columns).unique().height / max(1, frame.height)


def measure_order(y: Array, p: Array) -> tuple[float, float]:
    """How far predictions put the rows in order, -1 to 1, and its standard error; NaN where they do not tell.

    A number: the correlation. Classes: 2 AUC - 1; of several, its mean over each class against the rest. Not how often
    the likeliest is right: drift that makes one class look like another leaves none right where that one is at home.
    """
    n = len(y)
    if n < FEW or np.ptp(y) == 0:
        return math.nan, math.nan
    if p.ndim == 1:
        r = float(np.corrcoef(y, p)[0, 1]) if np.ptp(p) > 0 else math.nan
        return r, (1.0 - r * r) / math.sqrt(n)
    if p.shape[1] == 2:
        return _twice_area(y == 1, p[:, 1])
    each = [_twice_area(y == k, p[:, k]) for k in range(p.shape[1])]
    scored = [pair for pair in each if not math.isnan(pair[0])]
    if not scored:
        return math.nan, math.nan
    return float(np.mean([area for area, _ in scored])), float(np.mean([error for _, error in scored]))


def _twice_area(positive: Array, score: Array) -> tuple[float, float]:
    above, below = int(positive.sum()), int((~positive).sum())
    if min(above, below) < 10:
        return math.nan, math.nan
    return 2.0 * compute_auc(positive, score) - 1.0, 2.0 * math.sqrt((above + below + 1) / (12.0 * above * below))


def find_turned_column(y: Array, p: Array, column: pl.Series) -> str | None:
    """A slice of the column in which the model's order is turned round, though it holds elsewhere; in words."""
    codes, names = bin_column(column, 4)
    others = max(1, p.shape[1] - 1) if p.ndim > 1 else 1  # of k classes, each taken for the next: order -1 / (k - 1)
    if len(y) < 4 * FEW:
        return None
    for code, name in enumerate(names):
        inside = codes == code
        here, error = measure_order(y[inside], p[inside])
        if not here < 0.0:  # NaN too; the many other rows need not be sorted for it
            continue
        rest, other = measure_order(y[~inside], p[~inside])
        if math.isnan(rest) or rest < KNOWN or rest < SURE * other:
            continue
        if here < -0.5 * rest / others and here < -SURE * error:
            return (
                f"where {column.name} is {name} ({int(inside.sum()):,} rows), the labels say the opposite of elsewhere"
            )
    return None


def find_noisier_labels(y: Array, p: Array, first: Array) -> str | None:
    """Whether the rows ``first`` (n,) bool, to learn from, contradict the model as the others do not; in words."""
    learnt, error = measure_order(y[first], p[first])
    judged, other = measure_order(y[~first], p[~first])
    if math.isnan(learnt) or math.isnan(judged) or judged < KNOWN or judged < SURE * other:
        return None
    if learnt < 0.5 * judged and judged - learnt > SURE * math.hypot(error, other):
        return f"rows to learn from contradict the model (order {learnt:.2f}) as those that judge do not ({judged:.2f})"
    return None


def measure_leak(column: pl.Series, y: Array, classes: int) -> float:
    """Share of the target's variance that the column alone explains, cut into bins; of classes: of all their shares."""
    codes, names = bin_column(column, MANY_BINS)
    target = np.eye(classes)[y.astype(np.int64)] if classes else y[:, None].astype(np.float64)
    total = float(((target - target.mean(axis=0)) ** 2).sum())
    if total <= 0 or len(y) < FEW:
        return 0.0
    counts = np.maximum(np.bincount(codes, minlength=len(names)), 1)
    within = 0.0
    for j in range(target.shape[1]):
        sums = np.bincount(codes, weights=target[:, j], minlength=len(names))
        within += float((target[:, j] ** 2).sum() - (sums**2 / counts).sum())
    return max(0.0, 1.0 - within / total - len(names) / len(y))


def bin_column(column: pl.Series, bins: int) -> tuple[Array, list[str]]:
    """Codes (n,) of a column's categories, or of equal parts of its numbers; and what each is called."""
    if column.dtype.is_numeric() and column.n_unique() > bins:
        values = column.cast(pl.Float64).to_numpy()
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
        codes = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), len(edges) + 1)
        cut = [f"{e:.4g}" for e in edges]
        names = [f"below {cut[0]}", *(f"{a} to {b}" for a, b in zip(cut, cut[1:], strict=False)), f"{cut[-1]} or more"]
        return codes.astype(np.int64), [*names, "missing"]
    text = column.cast(pl.String).fill_null("missing")
    known = text.unique().sort()
    codes = text.replace_strict(known, list(range(len(known))), return_dtype=pl.Int64).to_numpy()
    return codes, known.to_list()
