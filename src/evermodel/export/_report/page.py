"""Everything the page shows, gathered from card, log and contract into one frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evermodel.core.contract import Contract
from evermodel.core.store import Card, Event
from evermodel.export._report import pictures, scores, search
from evermodel.export._report.changes import Changes, Row, changes, class_shares
from evermodel.export._report.head import cost_facts, headline, next_step, said
from evermodel.export._report.lineage import Lineage, decision_of, lineage
from evermodel.export._report.scores import Candidates, ScoreRow, ScoreTable, main_metric
from evermodel.export._report.small import bar
from evermodel.export._report.tables import Confusion, confusion, residual_rows
from evermodel.export._report.words import (
    DECIDED,
    UNKNOWN,
    count,
    day,
    known,
    label_of,
    number,
    percent,
    seconds,
)
from evermodel.export._report.words import setting_words as told

COORDINATES = "Each line is a trial, the best in colour; those given up early are never among them."
NAN = re.compile(r"[+-]?\bnan\b")  # as Python spells what is not known


@dataclass(frozen=True)
class Known:
    """What is known of a version: its card, its parent's, all cards, the log, what serves, its contract."""

    card: Card
    parent: Card | None
    cards: Sequence[Card]
    log: Sequence[Event]
    serving: str | None
    contract: Contract | None
    warning: str = ""


@dataclass(frozen=True)
class Verdict:
    """The head of the page."""

    decision: str
    word: str
    sign: str
    sentence: str
    headline: str
    serving: str
    next_says: str
    next_command: str
    reasons: tuple[tuple[str, str, str], ...]  # gate, finding, text
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A drawing with its title and one sentence on how to read it."""

    title: str
    drawn: Markup
    caption: str = ""


@dataclass(frozen=True)
class Tried:
    """One way to feed an adopted model, and how well it predicted then."""

    scaling: str
    encoding: str
    skill: str
    drawn: Markup
    chosen: bool


@dataclass(frozen=True)
class Page:
    """The whole report; an empty field is a section left out."""

    name: str
    version: str
    created: str
    verdict: Verdict
    tables: tuple[ScoreTable, ...]
    single: tuple[tuple[str, str], ...]
    candidates: Candidates | None
    search: tuple[Picture, ...]
    importances: tuple[Row, ...]
    curves: tuple[Picture, ...]
    pictures: tuple[Picture, ...]
    confusion: Confusion | None
    residuals: tuple[Row, ...]
    slices: tuple[ScoreRow, ...]
    slice_metric: str
    tried: tuple[Tried, ...]
    expects: tuple[Row, ...]
    classes: tuple[Row, ...]
    changes: Changes
    cost: tuple[tuple[str, str], ...]
    lineage: Lineage


def page(found: Known) -> Page:
    """The page of one version."""
    card, facts = found.card, found.card.facts.get("figures") or {}
    target = found.contract.roles.target if found.contract else None
    return Page(
        name=card.name,
        version=card.version,
        created=day(card.created),
        verdict=verdict(found),
        tables=scores.score_tables(card),
        single=scores.single_scores(card),
        candidates=scores.candidates(card),
        search=_search(card),
        importances=_importances(card),
        curves=_curves(card),
        pictures=_pictures(facts, str(target or "")),
        confusion=confusion(facts),
        residuals=residual_rows(facts),
        slices=scores.slice_rows(card),
        slice_metric=label_of(main_metric(card)),
        tried=_tried(card),
        expects=_expects(found),
        classes=class_shares(card),
        changes=changes(card, found.parent, str(target) if target is not None else None),
        cost=_cost(card),
        lineage=lineage(card, found.cards, found.log, found.serving),
    )


def verdict(found: Known) -> Verdict:
    """What was decided, why, what serves, and what to type next."""
    card = found.card
    decision = decision_of(card)
    word, sign, _ = DECIDED[decision]
    sentence = said(card, decision)
    reasons = tuple((str(r.get("gate", "")).replace("_", " "), str(r.get("finding", "")),
                     NAN.sub(UNKNOWN, str(r.get("text", ""))))
                    for r in card.verdict.get("reasons") or ())  # fmt: skip
    serving = f"{card.name} {found.serving}" if found.serving else "nothing"
    if decision == "promote" and found.serving != card.version:
        sentence = f"The challenger went into service; {found.serving} serves now."
    says, command = next_step(card, decision, found.serving)
    return Verdict(
        decision or "adopt", word, sign, sentence, headline(card), serving, says, command, reasons,
        tuple(n for n in (found.warning, *_notes(found)) if n),
    )  # fmt: skip


def _notes(found: Known) -> list[str]:
    card, notes = found.card, []
    if card.facts.get("finished"):
        notes.append(
            "Scores are of the judged model. The version stored is the same recipe finished: trained once more with "
            "the judged rows included."
        )
    result: Mapping[str, Any] = card.facts.get("result") or {}
    if card.facts.get("beside"):
        notes.append(str(result["reasons"][-1]))  # who stays in service beside it, said last
    if result.get("best") and result["best"] == result.get("incumbent"):
        notes.append(
            "No point that was searched beat the hyperparameters in service: it was trained with them on newer rows."
        )
    again = result.get("second_look")
    if again and again["promoted"]:
        notes.append(f"Held at first as {again['version']}, and judged again on the rows of both updates together.")
    elif again:
        said = DECIDED[again["decision"]][0]
        notes.append(f"{again['version']}, held by the update before, was judged again with these rows: {said}.")
    if card.facts.get("stands_in"):
        notes.append("No training rows were given at adoption: the oldest new rows stood in for them.")
    if decision_of(card) == "":
        adopted = next((e for e in found.log if e.kind == "adopted" and e.facts.get("version") == card.version), None)
        notes += [str(n) for n in (adopted.facts.get("notes") or ())] if adopted else []
    return notes


def _search(card: Card) -> tuple[Picture, ...]:
    result: Mapping[str, Any] = card.facts.get("result") or {}
    trials, space = result.get("trials") or (), result.get("space") or {}
    drawn = [
        ("Scores of the trials", search.history(trials), "The line is the best so far; grey: given up early."),
        ("Speed against score", search.pareto(result, "latency"), search.PARETO),
        ("Size against score", search.pareto(result, "size"), search.PARETO),
        ("Where the good points lie", search.coordinates(trials, space), COORDINATES),
    ]
    return tuple(Picture(title, svg, caption) for title, svg, caption in drawn if svg is not None)


def _importances(card: Card) -> tuple[Row, ...]:
    found: Mapping[str, float] = (card.facts.get("result") or {}).get("importances") or {}
    return tuple(Row(name, (percent(share),)) for name, share in sorted(found.items(), key=lambda pair: -pair[1]))


def _curves(card: Card) -> tuple[Picture, ...]:
    drawn = [(what, *one) for what in ("loss", "score") for one in pictures.learning_curves(card.curves, what)]
    return tuple(Picture(f"{what.capitalize()}{f' of {member!r}' if member else ''}", svg)
                 for what, member, svg in drawn)  # fmt: skip


def _pictures(facts: Mapping[str, Any], target: str) -> tuple[Picture, ...]:
    labels, binary = [str(v) for v in facts.get("labels") or ()], "roc" in facts
    drawn: list[tuple[str, Markup | None, str]] = [
        ("ROC curve", pictures.roc(facts.get("roc") or {}), "Further up and to the left is better."),
        ("Precision and recall", pictures.precision_recall(facts.get("precision_recall") or {}),
         "Further up is better."),
        ("Calibration", pictures.calibration(facts.get("calibration") or {}, binary=binary),
         "On the dotted line, probabilities mean what they say; whiskers are 95 % intervals."),
    ]  # fmt: skip
    if len(labels) == 2:
        for who in pictures.BOTH:
            counts = (facts.get("histogram") or {}).get(who) or {}
            caption = "The less the halves overlap, the better; each half on its own scale."
            named = [f"{target} = {label}" if target else label for label in labels]
            drawn.append((f"Probabilities, {who}", pictures.score_histogram(counts, who, named), caption))
    drawn.append(("Predicted against true", pictures.predicted_against_true(facts.get("predicted") or {}),
                  "Means of equally full bands; shaded: the middle 80 % of the truth."))  # fmt: skip
    drawn.append(("Errors", pictures.residuals(facts.get("residuals") or {}), "Narrower, and centred on 0, is better."))
    return tuple(Picture(title, svg, caption) for title, svg, caption in drawn if svg is not None)


def _tried(card: Card) -> tuple[Tried, ...]:
    if card.parents:
        return ()
    tried: Sequence[Mapping[str, Any]] = card.facts.get("tried") or ()
    return tuple(
        Tried(str(t.get("scaling")), str(t.get("encoding")), number(t.get("skill"), 3),
              bar(t["skill"] if known(t.get("skill")) else 0.0, "challenger" if i == 0 else "champion"), i == 0)
        for i, t in enumerate(tried)
    )  # fmt: skip


def _expects(found: Known) -> tuple[Row, ...]:
    if found.card.parents or found.contract is None:
        return ()
    rows = []
    for c in found.contract.columns[:60]:
        if c.kind == "category":
            shown = ", ".join(c.categories[:6]) + (f", … ({len(c.categories)} in all)" if len(c.categories) > 6 else "")
        elif known(c.low) and known(c.high):
            said = count if c.whole else number
            shown = f"{said(c.low)} to {said(c.high)}, median {said(c.median)}"
        else:
            shown = ""
        rows.append(Row(c.name, (c.kind, shown, percent(c.missing) if c.missing else "")))
    return tuple(rows)


def _cost(card: Card) -> tuple[tuple[str, str], ...]:
    result: Mapping[str, Any] = card.facts.get("result") or {}
    data: Mapping[str, Any] = result.get("data") or {}
    cost: Mapping[str, Any] = card.facts.get("cost") or {}
    facts = [
        ("rows read", count((data.get("cleaning") or {}).get("rows_read"))),
        ("rows used", count(data.get("rows", (card.facts.get("profile") or {}).get("rows")))),
        ("rows that judged", count(data.get("judged"))),
        ("rows remembered before", count(data.get("kept"))),
        ("training, all candidates", seconds(result.get("training_seconds"))),
        ("update in all", seconds(result.get("seconds") or None)),
        *cost_facts(result),
        *((str(k), str(v)) for k, v in cost.items()),
        ("settings", told(card.settings)),
    ]
    return tuple((k, v) for k, v in facts if v and v != "not known")
