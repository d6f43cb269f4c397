"""Which of the judged rows choose among challengers, and which confirm the winner."""

from __future__ import annotations

import dataclasses

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.judging.judge_input import JudgeInput, PairedPredictions


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


def select_rows(rows: PairedPredictions, at: Array) -> PairedPredictions:
    """The paired rows at ``at`` (m,) int or bool."""
    groups = None if rows.groups is None else rows.groups[at]
    slices = {name: inside[at] for name, inside in rows.slices.items()}
    return PairedPredictions(rows.y[at], rows.champion[at], rows.challenger[at], groups, slices)


def select_input_rows(judge_input: JudgeInput, at: Array) -> JudgeInput:
    """The same two models on the new rows ``at`` (m,) alone; the rows known before stay."""
    trivial, others = judge_input.trivial_predictions, judge_input.other_answers
    return dataclasses.replace(
        judge_input,
        new=select_rows(judge_input.new, at),
        other_answers={n: dataclasses.replace(other, rows=select_rows(other.rows, at)) for n, other in others.items()},
        trivial_predictions=None if trivial is None else trivial[at],
    )
