"""Paired bootstrap: draws whole groups of rows with replacement, the same for both models.

scipy.stats.bootstrap draws single rows, and calls a Python function for each resample; sums of groups are one product.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric import Metric, MetricModule, Tabular

RESAMPLES = 2_000
MANY_ROWS = 20_000  # from which on a table of each group stands for its rows, where the metric can be read from one
FEW_GROUPS = 1_000
CELLS = 200_000  # counts held at once: they stay in the processor's cache, which is three times as fast


def encode_groups(groups: Array | None, n: int) -> tuple[Array, int]:
    """Codes 0 … g-1 (n,) of the groups, and g. Without groups each row stands alone."""
    if groups is None:
        return np.arange(n), n
    _, codes = np.unique(groups, return_inverse=True)
    return codes.reshape(-1), int(codes.max(initial=-1)) + 1


def sum_groups(sums: Array, codes: Array, g: int) -> Array:
    """Sums (n, s) over rows -> (g, s) over groups."""
    if g == len(sums):
        out = np.empty_like(sums)
        out[codes] = sums
        return out
    return np.column_stack([np.bincount(codes, weights=column, minlength=g) for column in sums.T])


def split_stretches(n: int, parts: int = 40) -> Array:
    """Group codes (n,) for rows in time order without an entity: consecutive stretches, at least two rows each."""
    return np.arange(n) * min(parts, max(1, n // 2)) // max(1, n)


def draw_counts(g: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each of ``g`` groups is drawn, (r, g) float32, for some of the resamples at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, min(resamples, CELLS // max(1, g)))
    for start in range(0, resamples, step):
        r = min(step, resamples - start)
        drawn = rng.integers(0, g, (r, g))
        drawn += np.arange(r)[:, None] * g
        yield np.bincount(drawn.ravel(), minlength=r * g).reshape(r, g).astype(np.float32)


@functools.lru_cache(maxsize=4)
def recall_counts(g: int, resamples: int, seed: int) -> tuple[Array, ...]:
    """``draw_counts`` as a whole, kept for the next windows of as many rows: draws are the same. Not to be changed.

    For few groups alone: 8 MB for a thousand groups a thousand times.
    """
    return tuple(drawn.astype(np.float64) for drawn in draw_counts(g, resamples, seed))


def count_at_once(n: int) -> int:
    """How many resamples of ``n`` rows are scored at once: those that stay in the processor's cache; of many rows up to
    eight, since their order is found once for all of them, as long as their weights take 32 MB.
    """
    return max(1, 20_000 // n, min(8, 4_000_000 // n))


def resample_sums(
    sums: tuple[Array, Array], of_sums: Callable[[Array], Array], resamples: int, seed: int, margin_slope: float = 0.0
) -> Array:
    """Challenger - (1 + lean) champion, resampled -> (resamples,). ``sums``: champion's and challenger's, (g, s)."""
    both, s = np.concatenate(sums, axis=1), sums[0].shape[1]
    out = []
    for drawn in draw_counts(len(both), resamples, seed):
        drawn_sums = drawn @ both
        out.append(of_sums(drawn_sums[:, s:]) - (1.0 + margin_slope) * of_sums(drawn_sums[:, :s]))
    return np.concatenate(out)


def resample_rows(
    plugin: MetricModule,
    y: Array,
    both: tuple[Array, Array],
    codes: Array,
    g: int,
    resamples: int,
    seed: int,
    margin_slope: float = 0.0,
) -> Array:
    """The same for any metric of weighted rows; ``both``: the champion's and the challenger's predictions.

    A metric that scores many resamples at once does so for some of them: it sorts the rows once for these.
    """
    score: Metric = getattr(plugin, plugin.__name__.rpartition(".")[2])
    binary = all(p.ndim == 2 and p.shape[1] == 2 for p in both)
    scores = getattr(plugin, "score_resamples", None) if binary else None
    if binary and isinstance(plugin, Tabular) and len(y) >= MANY_ROWS and g <= FEW_GROUPS:
        return _resample_tables(
            plugin, [plugin.tabulate_groups(y, p, codes, g) for p in both], resamples, seed, margin_slope
        )
    step, out = count_at_once(len(y)), []
    for drawn in draw_counts(g, resamples, seed):
        for at in range(0, len(drawn), step):
            weights = drawn[at : at + step, codes].astype(np.float64)
            if scores is not None:
                champion, challenger = (scores(y, p, weights) for p in both)
            else:
                champion, challenger = (np.array([score(y, p, weight=row) for row in weights]) for p in both)
            out.append(challenger - (1.0 + margin_slope) * champion)
    return np.concatenate(out)


def _resample_tables(plugin: Tabular, tables: list[Array], resamples: int, seed: int, margin_slope: float) -> Array:
    champion, challenger = (table.astype(np.float64) for table in tables)
    out = []
    for drawn in draw_counts(len(champion), resamples, seed):
        for counts in np.array_split(drawn.astype(np.float64), max(1, len(drawn) * champion.shape[1] // 1_000_000)):
            base = plugin.score_tables(counts @ champion)
            out.append(plugin.score_tables(counts @ challenger) - (1.0 + margin_slope) * base)
    return np.concatenate(out)
