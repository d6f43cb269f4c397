"""The judge: asks every gate, and says what happens to the challenger."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from evermodel.core import plugs
from evermodel.core.errors import BadData, BadSetting
from evermodel.core.judgement import Comparison, Decision, Finding, PairedRows, PairedScores, Reason, Verdict
from evermodel.core.settings import read_settings, settings_of
from evermodel.core.table import Array

Goal = Literal["better", "not_worse_and_cheaper", "refreshed"]
GATES: dict[str, tuple[str, ...]] = {
    "better": ("skill", "better", "not_worse", "slices"),
    "refreshed": ("skill", "harmless", "slices"),
    "not_worse_and_cheaper": ("skill", "not_worse", "slices", "cheaper"),
}
DECISIONS: tuple[tuple[Finding, Decision], ...] = (("invalid", "invalid"), ("fail", "reject"), ("hold", "hold"))


def judge(
    pair: PairedScores,
    /,
    *,
    goal: Goal = "better",
    margin: float | None = None,
    past_margin: float | None = None,
    confidence: float = 0.95,
    gates: Mapping[str, Mapping[str, Any] | None] | None = None,
) -> Verdict:
    """Promote, hold, reject, or invalid: the worst that any gate found, with every gate's reason.

    ``margin`` and ``past_margin`` (default: three margins) are in points (hundredths of a score) or, for losses and R2,
    percent of the loss; None is 1 point or 2 %. ``confidence`` is how sure the judge is of each one-sided statement.
    ``gates`` adds gates by name with their settings, changes settings, or with None leaves a gate out.
    """
    if goal not in GATES:
        raise BadSetting(f"goal must be one of {', '.join(GATES)}. Got {goal!r}.")
    if not 0.5 < confidence < 1.0:
        raise BadSetting(f"confidence must be above 0.5 and below 1. Got {confidence!r}.", "0.95 is the default.")
    asked: dict[str, Mapping[str, Any] | None] = {name: {} for name in GATES[goal]} | dict(gates or {})
    shared = {"margin": margin, "past_margin": past_margin, "confidence": confidence}
    reasons = tuple(_asked(pair, name, shared, given) for name, given in asked.items() if given is not None)
    return verdict_of(reasons)


def verdict_of(reasons: tuple[Reason, ...]) -> Verdict:
    """The worst finding decides; rows needed are the most that a holding gate asks for, None if one cannot say."""
    found = {r.finding for r in reasons}
    decision: Decision = next((name for finding, name in DECISIONS if finding in found), "promote")
    comparisons: list[Comparison] = []
    for reason in reasons:
        if reason.comparison is not None and reason.comparison not in comparisons:
            comparisons.append(reason.comparison)
    asked = [r.rows_needed for r in reasons if r.finding == "hold" and r.rows_needed is not None]
    return Verdict(decision, reasons, tuple(comparisons), max(asked) if decision == "hold" and asked else None)


def _asked(pair: PairedScores, name: str, shared: Mapping[str, Any], given: Mapping[str, Any]) -> Reason:
    gate = plugs.function("gates", name)
    own = {s.name for s in settings_of(gate)}
    settings = {k: v for k, v in shared.items() if k in own and v is not None} | dict(given)
    try:
        reason: Reason = gate(pair, **read_settings(gate, settings))
    except BadData as error:  # rows that cannot be scored are no evidence, for or against
        return Reason(name, "invalid", error.message)
    return reason


def level(confidence: float, look: int, looks: int) -> float:
    """How sure a look at a held challenger must be so that all planned looks together err with 1 - confidence.

    One look spends all of the error; of two looks the first spends 70 % and the second 40 % (they overlap: the second
    counts the rows of the first again). Measured by ``bench/judge.py``.
    """
    spent = {(1, 1): 1.0, (1, 2): 0.7, (2, 2): 0.4}.get((look, looks))
    if spent is None:
        raise BadSetting(f"looks must be 1 or 2, and look at most looks. Got look {look} of {looks}.")
    return 1.0 - spent * (1.0 - confidence)


def split_for_confirmation(
    n: int, groups: Array | None = None, *, share: float = 0.5, in_time: bool = False, seed: int = 0
) -> tuple[Array, Array]:
    """Indices of the rows for choosing among challengers, and of the rows for confirming the winner.

    The best of many equal challengers looks better than it is (1.3 points of 20 at n=2000): judge it on the second part
    only. Groups stay whole; with ``in_time`` the newest part confirms. Raises BadData with fewer than two groups.
    """
    _, codes = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    g = int(codes.max(initial=-1)) + 1
    if g < 2:
        raise BadData(f"Choosing and confirming need two groups of rows. Got {g}.")
    latest = np.zeros(g, dtype=np.int64)
    np.maximum.at(latest, codes, np.arange(n))
    order = np.argsort(latest) if in_time else np.random.default_rng(seed).permutation(g)
    first = min(g - 1, max(1, round(g * share)))
    choosing = np.isin(codes, order[:first])
    return np.flatnonzero(choosing), np.flatnonzero(~choosing)


def rows_at(rows: PairedRows, at: Array) -> PairedRows:
    """The paired rows at ``at`` (m,) int or bool."""
    groups = None if rows.groups is None else rows.groups[at]
    slices = {name: inside[at] for name, inside in rows.slices.items()}
    return PairedRows(rows.y[at], rows.champion[at], rows.challenger[at], groups, slices)


def scores_at(pair: PairedScores, at: Array) -> PairedScores:
    """The same two models on the new rows ``at`` (m,) alone; what is known of the past stays."""
    trivial = None if pair.trivial is None else pair.trivial[at]
    return dataclasses.replace(pair, new=rows_at(pair.new, at), trivial=trivial)


def confirm(pair: PairedScores, at: Array, /, **settings: Any) -> Verdict:
    """Judges the chosen challenger on the rows ``at`` alone, which took no part in the choice."""
    return judge(scores_at(pair, at), **settings)


def skill(pair: PairedScores, predictions: Array) -> tuple[float, float]:
    """Share of the trivial baseline's loss that the predictions for ``pair.new`` remove, and its standard error.

    Loss: Brier score, or squared error for regression. 1 is perfect, 0 as bad as trivial; NaN without a baseline.
    """
    if pair.trivial is None:
        return float("nan"), float("nan")
    sums = plugs.module("metrics", "rmse" if pair.task == "regression" else "brier").sums
    own, trivial = sums(pair.new.y, predictions)[:, 0], sums(pair.new.y, pair.trivial)[:, 0]
    if not trivial.sum() > 0:
        return float("nan"), float("nan")
    share = float(own.sum() / trivial.sum())
    codes = np.arange(len(own)) if pair.new.groups is None else np.unique(pair.new.groups, return_inverse=True)[1]
    scatter = np.bincount(codes.reshape(-1), weights=own - share * trivial)
    return 1.0 - share, float(np.sqrt((scatter**2).sum()) / trivial.sum())
