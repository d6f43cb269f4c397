"""The tables of scores: old against new, slices, and what else was tried."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evermodel.core.errors import EvermodelError
from evermodel.core.records.figures import SliceScore
from evermodel.core.records.update_record import Candidate, Score
from evermodel.core.records.verdict import JudgedRows
from evermodel.core.records.version_card import VersionCard
from evermodel.judging.grading import convert_margin
from evermodel.reports.sparklines import bar, reach_of, whisker
from evermodel.reports.words import (
    beside,
    count,
    format_number,
    higher_is_better,
    is_number,
    label_of,
    seconds,
    setting_words,
)

WHERE = {
    "new": ("On the newest rows", "Neither model was trained on them; this is where the verdict comes from."),
    "past": ("On rows known before", "Kept out of all training: what the model could do, it should still do."),
    "guarded": ("On rows to guard", "You named them: the challenger may not get worse there."),
    "in_sample": ("On rows that the champion was trained on", "Shown, not judged by: it learnt them by heart."),
}
HELD_OUT = ("On held-out rows", "Known before; neither model here was trained on them. The verdict comes from here.")


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoreRow:
    """One metric (or slice) of both models."""

    label: str
    champion: str
    challenger: str
    difference: str
    interval: str
    drawn: Markup
    n: str
    decides: bool = False
    better: str = ""  # "better", "worse" or "": beyond doubt only


@dataclass(frozen=True)
class ScoreTable:
    """Scores on one set of rows."""

    title: str
    note: str
    rows: tuple[ScoreRow, ...]


@dataclass(frozen=True)
class CandidateRow:
    """One way the update could have gone."""

    label: str
    settings: str
    score: str
    drawn: Markup
    seconds: str
    chosen: bool
    note: str


@dataclass(frozen=True)
class Candidates:
    """All ways, the metric they are held by, and what is to be said about them."""

    metric: str
    rows: tuple[CandidateRow, ...]
    said: tuple[str, ...]


def main_metric(card: VersionCard) -> str:
    """The metric that people look at first; of an adopted version the first there is."""
    if card.update is not None:
        return card.update.metric
    return next(iter(card.adoption.scores), "") if card.adoption is not None else ""


def score_tables(card: VersionCard) -> tuple[ScoreTable, ...]:
    """One table for the new rows, one for rows known before."""
    tables = []
    primary = (card.update.primary if card.update is not None else "") or main_metric(card)
    for where, by in (card.update.scores if card.update is not None else {}).items():
        if where not in WHERE or not by:
            continue
        rows = tuple(
            score_row(m, label_of(m), s, decides=where == "new" and m == primary, margin=_margin(card, m, s))
            for m, s in by.items()
        )
        held_out = where == "new" and card.update is not None and card.update.verdict.judged_rows is JudgedRows.HELD_OUT
        tables.append(ScoreTable(*(HELD_OUT if held_out else WHERE[where]), rows))
    return tuple(tables)


def _margin(card: VersionCard, metric: str, score: Score) -> float | None:
    update = card.update
    if update is None or metric not in (update.metric, update.primary) or not is_number(score.champion):
        return None
    try:
        given = update.margin if metric == update.metric else update.primary_margin
        return convert_margin(metric, given, score.champion)
    except EvermodelError:  # a metric whose plugin is not installed here has no margin to draw
        logger.info("The margin of %s cannot be drawn.", metric, exc_info=True)
        return None


def score_row(
    metric: str,
    label: str,
    score: Score | SliceScore,
    *,
    decides: bool = False,
    margin: float | None = None,
    reach: float | None = None,
) -> ScoreRow:
    """A row of both scores; the drawn difference points to the right where the challenger is better."""
    low, high, champion = score.low, score.high, score.champion
    sign = 1.0 if higher_is_better(metric) else -1.0
    gain, a, b = (sign * v if is_number(v) else None for v in (score.difference, low, high))
    ends = [v for v in (a, b) if v is not None]
    sure = "" if len(ends) < 2 else "better" if min(ends) > 0 else "worse" if max(ends) < 0 else ""
    scale = reach or reach_of([gain, a, b, 1.3 * margin if margin else None])
    interval = (
        f"{beside(low, champion)} to {beside(high, champion)}" if is_number(low) and is_number(high) else "no interval"
    )
    return ScoreRow(
        label,
        format_number(champion),
        format_number(score.challenger),
        beside(score.difference, champion),
        interval,
        whisker(gain, a, b, margin, scale),
        count(score.n),
        decides,
        sure,
    )


def slice_rows(card: VersionCard) -> tuple[ScoreRow, ...]:
    """The main metric on each slice, the one that lost most first, all on one scale."""
    slices = card.update.figures.slices if card.update is not None and card.update.figures is not None else ()
    metric = main_metric(card)
    sign = 1.0 if higher_is_better(metric) else -1.0
    known_first = sorted(
        slices, key=lambda s: (not is_number(s.difference), sign * s.difference if is_number(s.difference) else 0.0)
    )
    ends = sorted(max(abs(s.low), abs(s.high)) for s in slices if is_number(s.low) and is_number(s.high))
    usual = ends[3 * len(ends) // 4 : 3 * len(ends) // 4 + 1]  # a slice of few rows must not flatten all others
    reach = reach_of([*usual, *(s.difference for s in slices)])
    return tuple(score_row(metric, s.slice, s, reach=reach) for s in known_first)


def single_scores(card: VersionCard) -> tuple[tuple[str, str], ...]:
    """Scores of a version that was held against nothing: label and value."""
    scores = card.adoption.scores if card.adoption is not None else {}
    return tuple((label_of(metric), format_number(value)) for metric, value in scores.items())


def candidates(card: VersionCard) -> Candidates | None:
    """What else was tried; None where nothing is known."""
    tried = card.update.candidates if card.update is not None else ()
    if not tried:
        return None
    metric = main_metric(card)
    there = [c.score for c in tried if is_number(c.score)]
    low = min([*there, 0.0]) if there else 0.0
    span = (max(there) - low) if there else 1.0
    rows = tuple(
        CandidateRow(
            label=LABELS.get(c.strategy, c.strategy),
            settings=setting_words(c.settings),
            score=format_number(c.score),
            drawn=bar((c.score - low) / span if span else 0.0, "challenger" if c.chosen else "champion")
            if is_number(c.score)
            else Markup(""),
            seconds=seconds(c.seconds),
            chosen=c.chosen,
            note=c.note,
        )
        for c in tried
    )
    return Candidates(label_of(metric), rows, tuple(_remarks(tried, metric)))


LABELS = {"none": "do nothing", "recalibrate": "recalibrate only", "last value seen": "repeat the last value seen"}


def _remarks(tried: Sequence[Candidate], metric: str) -> list[str]:
    """A sentence for each candidate that scored higher than the one chosen; higher, not beyond doubt."""
    chosen = next((c for c in tried if c.chosen), None)
    if chosen is None or not is_number(chosen.score):
        return []
    sign = 1.0 if higher_is_better(metric) else -1.0
    remarks = []
    for other in tried:
        if other is chosen or not is_number(other.score) or sign * (other.score - chosen.score) <= 0:
            continue
        name = LABELS.get(other.strategy, other.strategy)
        scores = f"({format_number(other.score)} against {format_number(chosen.score)} {label_of(metric)})"
        if other.strategy == "last value seen":
            remarks.append(
                f"To repeat the last value seen scores better than the model {scores}: where each label is "
                "known before the next row comes, that rule is the one to beat, or an input the model lacks."
            )
        else:
            way = f"To {name}" if other.strategy in LABELS else f"{name.capitalize()} ({setting_words(other.settings)})"
            remarks.append(f"{way} would have scored better {scores}.")
    return remarks
