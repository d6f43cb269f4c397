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
BEAM = 6  # conditions on one column that are combined with a second one
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
    """The conditions whose rows stand out most, alone or with a second column, without two that say nearly the same."""
    alone = _stand_out(masks, gain)
    ranked: list[tuple[tuple[Condition, ...], float, Array]] = [
        ((conditions[i],), float(alone[i]), masks[:, i] > 0) for i in np.argsort(-alone)[: 4 * BEAM]
    ]
    for i in np.argsort(-alone)[:BEAM]:
        both = masks * masks[:, [i]]
        strength = _stand_out(both, gain)
        # A second condition must add something: a deeper segment that is no stronger is only harder to read.
        ranked.extend(
            ((conditions[i], conditions[j]), float(strength[j]), both[:, j] > 0)
            for j in np.argsort(-strength)[:BEAM]
            if conditions[j].column != conditions[i].column and strength[j] > 1.1 * alone[i]
        )
    chosen: list[tuple[tuple[Condition, ...], Array]] = []
    for parts, strength_of, mask in sorted(ranked, key=lambda one: -one[1]):
        if strength_of <= 1.0 or len(chosen) == REPORTED:
            break
        if all((mask & other).sum() < 0.5 * min(mask.sum(), other.sum()) for _, other in chosen):
            chosen.append((parts, mask))
    return [parts for parts, _ in chosen]


def _stand_out(masks: Array, gain: Array) -> Array:
    """Welch's t of the gain inside each mask (n, m) against outside; -inf where too few rows or no gain inside."""
    n, inside = len(gain), masks.sum(axis=0, dtype=np.float64)
    sums, squares = masks.T @ gain, masks.T @ gain**2
    outside = n - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, other = sums / inside, (gain.sum() - sums) / outside
        spread = (squares / inside - mean**2) / inside
        spread += ((np.square(gain).sum() - squares) / outside - other**2) / outside
        t = (mean - other) / np.sqrt(np.maximum(spread, 1e-300))
    return np.where((inside >= SMALLEST) & (outside >= SMALLEST) & (mean > 0), t, -np.inf)


def _confirm(frame: pl.DataFrame, gain: Array, candidates: list[Candidate]) -> tuple[Segment, ...]:
    """The candidates measured on rows that were not searched; the clearest first, gains before losses."""
    measured: list[tuple[Candidate, Array, float]] = []
    for candidate in candidates:
        mask = select_rows(candidate.conditions, frame)
        if SMALLEST <= mask.sum() <= len(mask) - SMALLEST:
            measured.append((candidate, mask, _test_difference(gain[mask], gain[~mask], candidate.direction)))
    adjusted = adjust_holm([p for _, _, p in measured])
    segments = [
        (candidate.direction, _measure_segment(candidate, mask, gain, p_value))
        for (candidate, mask, _), p_value in zip(measured, adjusted, strict=True)
    ]
    return tuple(segment for _, segment in sorted(segments, key=lambda one: (-one[0], one[1].p_value)))


def _test_difference(inside: Array, outside: Array, direction: float) -> float:
    """One-sided p value of no difference between the means, by Welch's t and the normal distribution."""
    error = float(np.sqrt(inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside)))
    t = direction * float(inside.mean() - outside.mean()) / max(error, 1e-300)
    return normal_tail(t) / 2.0 if t > 0 else 1.0 - normal_tail(t) / 2.0


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
