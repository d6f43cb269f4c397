"""Puts an explanation into sentences; nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.explaining.explanation import ColumnChange, Contributions, FlipCount, ScoreChange, Segment

SHOWN = 4
MOVED = 0.1  # Jensen-Shannon distance from which a column is said to have moved


def describe_flips(flips: FlipCount, task: str) -> str:
    """Wins, losses and the net share, with the interval."""
    better, worse = ("closer", "farther off") if task == "regression" else ("newly right", "newly wrong")
    return (
        f"{flips.wins:,} rows are {better}, {flips.losses:,} are {worse}: "
        f"net {flips.net:+.1%} [{flips.low:+.1%}, {flips.high:+.1%}] of {flips.rows:,} rows."
    )


def describe_segments(segments: Sequence[Segment]) -> list[str]:
    """Where the loss changed otherwise than elsewhere; only what is beyond doubt is stated so."""
    confirmed = [s for s in segments if s.confirmed]
    if not confirmed:
        return ["No part of the rows changed otherwise than the rest, beyond doubt."]
    return [_describe_segment(segment) for segment in confirmed]


def _describe_segment(segment: Segment) -> str:
    where = f"Where {segment.condition} ({segment.rows:,} rows, {segment.share:.0%}), the loss"
    elsewhere = f"elsewhere it {_describe_gain(segment.elsewhere)}."
    if segment.low < 0 < segment.high:  # other than elsewhere beyond doubt, though not other than before
        change = f"{-segment.gain:+.4g} a row [{-segment.high:+.4g}, {-segment.low:+.4g}]"
        return f"{where} is not shown to have changed ({change}); {elsewhere}"
    low, high = sorted((abs(segment.low), abs(segment.high)))
    return f"{where} {_describe_gain(segment.gain)} a row [{low:.4g}, {high:.4g}]; {elsewhere}"


def _describe_gain(gain: float) -> str:
    return f"{'fell' if gain > 0 else 'rose'} by {abs(gain):.4g}"


def describe_contributions(contributions: Contributions) -> list[str]:
    """Which columns make the versions answer differently."""
    parts = [f"{c.column} {c.share:.0%}" for c in contributions.columns[:SHOWN] if c.share >= 0.01]
    if not parts:
        return ["No column makes the two versions answer differently."]
    how = "exact" if contributions.exact else f"sampled, standard error {contributions.standard_error:.2g}"
    return [
        f"The difference of their answers comes from {', '.join(parts)} "
        f"(Shapley values of {contributions.rows:,} rows in {contributions.unit}, {how})."
    ]


def describe_score_change(change: ScoreChange | None) -> list[str]:
    """How much of the change of the loss is the model's, and how much the rows'."""
    if change is None:
        return []
    before, now = change.losses["old version, earlier rows"], change.losses["new version, newer rows"]
    return [
        f"The {change.metric} went from {before:.4g} ({change.old_rows:,} earlier rows, old version) to {now:.4g} "
        f"({change.new_rows:,} newer rows, new version): {change.by_model:+.4g} by the model, "
        f"{change.by_data:+.4g} by the data."
    ]


def describe_columns(changes: Sequence[ColumnChange]) -> list[str]:
    """The columns that moved between the earlier rows and these."""
    moved = [f"{c.column} ({c.distance:.2f})" for c in changes[:SHOWN] if c.distance >= MOVED]
    if not moved:
        return []
    return [f"Columns that moved most since the earlier rows (Jensen-Shannon distance): {', '.join(moved)}."]
