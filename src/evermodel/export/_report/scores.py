"""The tables of scores: old against new, slices, and what else was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evermodel.core.comparing import margin_in_units
from evermodel.core.store import Card
from evermodel.export._report.small import bar, reach_of, whisker
from evermodel.export._report.words import (
    beside,
    count,
    higher_is_better,
    known,
    label_of,
    number,
    seconds,
    setting_words,
)

WHERE = {
    "new": ("On the newest rows", "Neither model was trained on them; this is where the verdict comes from."),
    "past": ("On rows known before", "Kept out of all training: what the model could do, it should still do."),
}


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


def main_metric(card: Card) -> str:
    """The metric that decided; the first there is where none is named."""
    named = (card.facts.get("result") or {}).get("metric")
    first = next((s for s in card.scores.values() if isinstance(s, Mapping)), {})
    return str(named or next(iter(first), ""))


def score_tables(card: Card) -> tuple[ScoreTable, ...]:
    """One table for the new rows, one for rows known before."""
    tables = []
    for where, by in card.scores.items():
        if where not in WHERE or not by:
            continue
        main = main_metric(card)
        rows = tuple(
            score_row(m, label_of(m), s, decides=where == "new" and m == main, margin=_margin(card, m, s))
            for m, s in by.items()
        )
        tables.append(ScoreTable(*WHERE[where], rows))
    return tuple(tables)


def _margin(card: Card, metric: str, score: Mapping[str, Any]) -> float | None:
    if metric != main_metric(card) or not known(score.get("champion")):
        return None
    try:
        return margin_in_units(metric, card.facts.get("margin"), float(score["champion"]))
    except Exception:  # a metric whose plug is not installed here has no margin to draw
        return None


def score_row(
    metric: str, label: str, score: Mapping[str, Any], *,
    decides: bool = False, margin: float | None = None, reach: float | None = None,
) -> ScoreRow:  # fmt: skip
    """A row of both scores; the drawn difference points to the right where the challenger is better."""
    d, low, high = (score.get(k) for k in ("difference", "low", "high"))
    sign = 1.0 if higher_is_better(metric) else -1.0
    gain, a, b = (sign * v if v is not None and known(v) else None for v in (d, low, high))
    ends = [v for v in (a, b) if v is not None]
    sure = "" if len(ends) < 2 else "better" if min(ends) > 0 else "worse" if max(ends) < 0 else ""
    scale = reach or reach_of([gain, a, b, 1.3 * margin if margin else None])
    champion = score.get("champion")
    interval = f"{beside(low, champion)} to {beside(high, champion)}" if known(low) and known(high) else "no interval"
    return ScoreRow(
        label, number(champion), number(score.get("challenger")), beside(d, champion), interval,
        whisker(gain, a, b, margin, scale), count(score.get("n")), decides, sure,
    )  # fmt: skip


def slice_rows(card: Card) -> tuple[ScoreRow, ...]:
    """The main metric on each slice, the one that lost most first, all on one scale."""
    slices: Sequence[Mapping[str, Any]] = (card.facts.get("figures") or {}).get("slices") or ()
    metric = main_metric(card)
    sign = 1.0 if higher_is_better(metric) else -1.0
    known_first = sorted(slices, key=lambda s: (not known(s.get("difference")), sign * (s.get("difference") or 0.0)))
    ends = sorted(max(abs(s["low"]), abs(s["high"])) for s in slices if known(s.get("low")) and known(s.get("high")))
    usual = ends[3 * len(ends) // 4 : 3 * len(ends) // 4 + 1]  # a slice of few rows must not flatten all others
    reach = reach_of([*usual, *(s.get("difference") for s in slices)])
    return tuple(score_row(metric, str(s["slice"]), s, reach=reach) for s in known_first)


def single_scores(card: Card) -> tuple[tuple[str, str], ...]:
    """Scores of a version that was held against nothing: label and value."""
    by = card.scores.get("reference") or {}
    return tuple((label_of(m), number(v)) for m, v in by.items() if not isinstance(v, Mapping))


def candidates(card: Card) -> Candidates | None:
    """What else was tried; None where nothing is known."""
    tried: Sequence[Mapping[str, Any]] = (card.facts.get("result") or {}).get("candidates") or ()
    if not tried:
        return None
    metric = main_metric(card)
    there = [float(c["score"]) for c in tried if known(c.get("score"))]
    low = min([*there, 0.0]) if there else 0.0
    span = (max(there) - low) if there else 1.0
    rows = tuple(
        CandidateRow(
            label=CALLED.get(str(c["change"]), str(c["change"])),
            settings=setting_words(c.get("settings") or {}),
            score=number(c.get("score")),
            drawn=bar((c["score"] - low) / span if span else 0.0, "challenger" if c.get("chosen") else "champion")
            if known(c.get("score")) else Markup(""),
            seconds=seconds(c.get("seconds")),
            chosen=bool(c.get("chosen")),
            note=str(c.get("note") or ""),
        )
        for c in tried
    )  # fmt: skip
    return Candidates(label_of(metric), rows, tuple(_said(tried, metric)))


CALLED = {"none": "do nothing", "recalibrate": "recalibrate only", "last value seen": "repeat the last value seen"}


def _said(tried: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    chosen = next((c for c in tried if c.get("chosen")), None)
    if chosen is None or not known(chosen.get("score")):
        return []
    sign = 1.0 if higher_is_better(metric) else -1.0
    said = []
    for other in tried:
        if other is chosen or not known(other.get("score")) or sign * (other["score"] - chosen["score"]) <= 0:
            continue
        name = CALLED.get(str(other["change"]), str(other["change"]))
        figures = f"({number(other['score'])} against {number(chosen['score'])} {label_of(metric)})"
        if other["change"] == "last value seen":
            said.append(
                f"To repeat the last value seen scores better than the model {figures}: where each label is "
                "known before the next row comes, that rule is the one to beat, or an input the model lacks."
            )
        else:
            settings = setting_words(other.get("settings") or {})
            way = f"To {name}" if str(other["change"]) in CALLED else f"{name.capitalize()} ({settings})"
            said.append(f"{way} would have scored better {figures}.")
    return said
