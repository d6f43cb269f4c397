"""The section of the report that says what the version does differently from the one it was made from, and why."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from evermodel.explaining.explain import Explanation
from evermodel.explaining.explanation import Segment
from evermodel.explaining.explanation_wording import (
    describe_columns,
    describe_contributions,
    describe_flips,
    describe_score_change,
    describe_segments,
)
from evermodel.reports.sparklines import bar, whisker
from evermodel.reports.words import count, format_number, format_signed, percent

MOST_COLUMNS = 12
MOST_INPUTS = 8  # columns of a changed row


@dataclass(frozen=True)
class ContributionRow:
    """One column's part in the difference of the answers."""

    column: str
    share: str
    importance: str
    mean: str
    drawn: Markup


@dataclass(frozen=True)
class SegmentRow:
    """One segment: how its loss changed, beside all other rows."""

    condition: str
    rows: str
    gain: str
    elsewhere: str
    drawn: Markup
    confirmed: bool


@dataclass(frozen=True)
class ExplanationSection:
    """What the section shows."""

    against: str
    source: str
    sentences: tuple[str, ...]
    unit: str
    contributions: tuple[ContributionRow, ...]
    segments: tuple[SegmentRow, ...]
    rows: tuple[tuple[str, str, str, str, str], ...]  # row, truth, old, new, inputs
    notes: tuple[str, ...]


def build_section(explanation: Explanation | None) -> ExplanationSection | None:
    """The section, or None where there is nothing to compare with."""
    if explanation is None:
        return None
    contributions = explanation.contributions
    reach = max((max(abs(s.low), abs(s.high)) for s in explanation.segments), default=1.0) or 1.0
    return ExplanationSection(
        against=explanation.old,
        source=f"{count(explanation.rows)} rows: {explanation.source}",
        sentences=(
            describe_flips(explanation.flips, explanation.task),
            *describe_segments(explanation.segments),
            *describe_contributions(contributions),
            *describe_score_change(explanation.score_change),
            *describe_columns(explanation.columns_changed),
        ),
        unit=contributions.unit,
        contributions=tuple(
            ContributionRow(
                c.column, percent(c.share), format_number(c.importance, 3), format_signed(c.mean, 3), bar(c.share)
            )
            for c in contributions.columns[:MOST_COLUMNS]
        ),
        segments=tuple(_build_segment(s, reach) for s in explanation.segments),
        rows=tuple(
            (
                count(r.row + 1),
                r.truth,
                format_number(r.old, 4),
                format_number(r.new, 4),
                ", ".join(f"{k} = {v}" for k, v in list(r.inputs.items())[:MOST_INPUTS]),
            )
            for r in explanation.changed_rows
        ),
        notes=explanation.notes,
    )


def _build_segment(segment: Segment, reach: float) -> SegmentRow:
    return SegmentRow(
        segment.condition,
        count(segment.rows),
        format_signed(segment.gain, 3),
        format_signed(segment.elsewhere, 3),
        whisker(segment.gain, segment.low, segment.high, None, reach),
        segment.confirmed,
    )
