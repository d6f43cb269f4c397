"""Finds the rows where one version gained or lost most against the other: conditions on one or two columns.

One half of the rows is searched, the other half confirms what was found, so that the search does not flatter its
result; the p values are adjusted for the segments that are reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.stats.distributions import normal_tail, t_quantile
from evermodel.core.stats.paired_tests import adjust_holm
from evermodel.explaining.explanation import Condition, ConditionKind, Segment, select_rows

SMALLEST = 30  # rows of a segment, in each half
CUTS = 16  # quantiles of a number at which it is cut
MOST_CATEGORIES = 20
SEARCHED = 20_000  # rows that are searched at most
PAIRED = 600  # conditions of which all pairs are tried: those that stand out most alone
RANKED = 2_000  # of the strongest single conditions and of the strongest pairs, from which the reported ones are chosen
DEEPER = 1.1  # times as strong as either condition alone: else a pair says no more than one of them
REPORTED = 3  # segments in each direction


@dataclass(frozen=True)
class Candidate:
    """One or two conditions that the search found; ``direction`` 1: a larger gain than elsewhere, -1: a smaller one."""

    conditions: tuple[Condition, ...]
    direction: float

    @property
    def text(self) -> str:
        return " and ".join(sorted(c.text for c in self.conditions))


def find_segments(inputs: pl.DataFrame, gain: Array, groups: Array | None, seed: int = 0) -> tuple[Segment, ...]:
    """Up to three segments in which the loss fell more than elsewhere, then up to three in which it rose.

    ``inputs``: cleaned rows; ``gain`` (n,): how much smaller the new version's loss is on each row; ``groups`` (n,):
    rows that depend on each other stay in one half. Empty where there are too few rows to search and confirm.
    O(rows x columns); memory: a bool for each of 20,000 rows and each condition.
    """
    searched, confirming = _split_halves(len(gain), groups, seed)
    if min(len(searched), len(confirming)) < 2 * SMALLEST:
        return ()
    searched = searched[:SEARCHED]
    frame, sought = inputs[np.sort(searched)], gain[np.sort(searched)]
    conditions, masks = _list_conditions(frame)
    if not conditions:
        return ()
    candidates = [
        Candidate(parts, direction)
        for direction in (1.0, -1.0)
        for parts in _search(conditions, masks, direction * sought)
    ]
    return _confirm(inputs[np.sort(confirming)], gain[np.sort(confirming)], candidates)


def _split_halves(n: int, groups: Array | None, seed: int) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    if groups is None:
        order = random.permutation(n)
        return order[: n // 2], order[n // 2 :]
    _, codes = np.unique(groups, return_inverse=True)
    first = random.permutation(codes.max() + 1) < (codes.max() + 1) / 2
    return np.flatnonzero(first[codes]), np.flatnonzero(~first[codes])


def _list_conditions(frame: pl.DataFrame) -> tuple[list[Condition], Array]:
    """The conditions that split the rows into two large enough parts, and (n, m) which rows meet each."""
    conditions: list[Condition] = []
    for name in frame.columns:
        values = frame[name]
        if values.dtype.is_numeric() and values.n_unique() > 2:
            x = values.cast(pl.Float64).to_numpy()
            x = x[np.isfinite(x)]
            cuts = np.unique(np.quantile(x, np.arange(1, CUTS) / CUTS)).tolist() if len(x) else []
            conditions += [Condition(name, ConditionKind.AT_MOST, cut) for cut in cuts]
            conditions += [Condition(name, ConditionKind.ABOVE, cut) for cut in cuts]
        elif values.dtype != pl.Binary:
            common = values.drop_nulls().value_counts(sort=True).head(MOST_CATEGORIES)[name].to_list()
            conditions += [Condition(name, ConditionKind.EQUAL, value) for value in common]
        if values.null_count():
            conditions.append(Condition(name, ConditionKind.MISSING))
    masks = np.stack([c.select(frame) for c in conditions], axis=1) if conditions else np.empty((frame.height, 0), bool)
    inside = masks.sum(axis=0)
    large = (inside >= SMALLEST) & (inside <= frame.height - SMALLEST)
    return [c for c, kept in zip(conditions, large, strict=True) if kept], masks[:, large].astype(np.float32)


def _search(conditions: list[Condition], masks: Array, gain: Array) -> list[tuple[Condition, ...]]:
    """The conditions whose rows stand out most, alone or in pairs, without two that say nearly the same."""
    alone = _stand_out(masks.sum(axis=0), masks.T @ gain, gain)
    ranked: list[tuple[tuple[int, ...], float]] = [((int(i),), float(alone[i])) for i in np.argsort(-alone)[:RANKED]]
    paired = np.sort(np.argsort(-np.where(np.isfinite(alone), alone, -1e300), kind="stable")[:PAIRED])
    some = masks[:, paired]
    both = _stand_out(some.T @ some, some.T @ (some * gain[:, None]), gain)
    columns = np.unique([conditions[i].column for i in paired], return_inverse=True)[1]
    # A second condition must add something: a deeper segment that is no stronger is only harder to read.
    deeper = both > DEEPER * np.maximum(np.maximum.outer(alone[paired], alone[paired]), 0.0)
    both = np.where(deeper & (columns[:, None] < columns), both, -np.inf)
    best = np.argsort(-both, axis=None)[:RANKED]
    pairs = zip(*np.unravel_index(best, both.shape), strict=True)
    ranked += [((int(paired[i]), int(paired[j])), float(both[i, j])) for i, j in pairs]
    chosen: list[tuple[tuple[int, ...], Array]] = []
    for parts, strength in sorted(ranked, key=lambda one: -one[1]):
        if strength <= 1.0 or len(chosen) == REPORTED:
            break
        mask: Array = np.all(masks[:, list(parts)] > 0, axis=1)
        if all((mask & other).sum() < 0.5 * min(mask.sum(), other.sum()) for _, other in chosen):
            chosen.append((parts, mask))
    return [tuple(conditions[i] for i in parts) for parts, _ in chosen]


def _stand_out(inside: Array, sums: Array, gain: Array) -> Array:
    """How far the mean gain of ``inside`` rows with these ``sums`` lies above that of the others, in standard errors;
    -inf where there are too few rows or no gain inside.

    The spread is that of all rows, so that the largest is the split that explains most of the variance, as in a
    regression tree. Welch's t is not searched for: a segment in which all rows are hit varies more than one in which
    few are, and would lose against it; and of thousands of small segments some hardly vary at all.
    """
    n, inside = len(gain), inside.astype(np.float64)
    outside = n - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, other = sums / inside, (gain.sum() - sums) / outside
        strength = (mean - other) * np.sqrt(inside * outside / n) / max(float(gain.std()), 1e-300)
    return np.where((inside >= SMALLEST) & (outside >= SMALLEST) & (mean > 0), strength, -np.inf)


def _confirm(frame: pl.DataFrame, gain: Array, candidates: list[Candidate]) -> tuple[Segment, ...]:
    """The candidates measured on rows that were not searched; the clearest first, gains before losses."""
    measured: list[tuple[Candidate, Array, float]] = []
    for candidate in candidates:
        mask = select_rows(candidate.conditions, frame)
        if SMALLEST <= mask.sum() <= len(mask) - SMALLEST:
            measured.append((candidate, mask, candidate.direction * _compute_welch_t(gain[mask], gain[~mask])))
    adjusted = adjust_holm([normal_tail(t) / 2.0 if t > 0 else 1.0 - normal_tail(t) / 2.0 for _, _, t in measured])
    # What turned round on these rows was chance. By t and not by the p value: those of several clear segments are 0.
    there = [i for i in range(len(measured)) if measured[i][2] > 0.0]
    order = sorted(there, key=lambda i: (-measured[i][0].direction, -measured[i][2]))
    return tuple(_measure_segment(measured[i][0], measured[i][1], gain, adjusted[i]) for i in order)


def _compute_welch_t(inside: Array, outside: Array) -> float:
    """The difference of the means in standard errors, by Welch; its p values are those of the normal distribution."""
    error = float(np.sqrt(inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside)))
    return float(inside.mean() - outside.mean()) / max(error, 1e-300)


def _measure_segment(candidate: Candidate, mask: Array, gain: Array, p_value: float) -> Segment:
    inside = gain[mask]
    reach = t_quantile(0.975, len(inside) - 1) * float(inside.std(ddof=1)) / math.sqrt(len(inside))
    mean, elsewhere = float(inside.mean()), float(gain[~mask].mean())
    return Segment(
        candidate.text,
        candidate.conditions,
        len(inside),
        float(mask.mean()),
        mean,
        mean - reach,
        mean + reach,
        elsewhere,
        p_value,
    )
