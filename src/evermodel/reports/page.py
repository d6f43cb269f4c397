"""Everything the page shows, gathered from card, log and contract into one frozen value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evermodel.core.data.contract import Contract
from evermodel.core.records.event import Adopted, Event, EventKind
from evermodel.core.records.figures import Figures
from evermodel.core.records.update_record import UpdateRecord
from evermodel.core.records.version_card import VersionCard
from evermodel.explaining.explain import Explanation
from evermodel.judging.verdict_wording import describe_reason
from evermodel.registry.update_result import describe_refit_check
from evermodel.reports import pictures, search_charts
from evermodel.reports import score_tables as scores
from evermodel.reports.data_changes import Changes, Row, changes, class_shares
from evermodel.reports.error_tables import Confusion, confusion, residual_rows
from evermodel.reports.explanation_section import ExplanationSection, build_section
from evermodel.reports.headline import cost_rows, describe_decision, headline, next_step
from evermodel.reports.lineage import Lineage, decision_of, lineage
from evermodel.reports.score_tables import Candidates, ScoreRow, ScoreTable, main_metric
from evermodel.reports.sparklines import bar
from evermodel.reports.words import (
    DECIDED,
    UNKNOWN,
    count,
    day,
    format_number,
    is_number,
    label_of,
    percent,
    seconds,
    setting_words,
)

COORDINATES = "Each line is a trial, the best in colour; those given up early are never among them."
NAN = re.compile(r"[+-]?\bnan\b")  # as Python spells what is not known


@dataclass(frozen=True)
class ReportData:
    """What is known of a version: its card, its parent's, all cards, the log, what serves, its contract."""

    card: VersionCard
    parent: VersionCard | None
    cards: Sequence[VersionCard]
    log: Sequence[Event]
    serving: str | None
    contract: Contract | None
    warning: str = ""
    explanation: Explanation | None = None  # of this version against the one it was made from


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
class TriedModels:
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
    tried: tuple[TriedModels, ...]
    expects: tuple[Row, ...]
    classes: tuple[Row, ...]
    changes: Changes
    explanation: ExplanationSection | None
    cost: tuple[tuple[str, str], ...]
    lineage: Lineage


def page(found: ReportData) -> Page:
    """The page of one version."""
    card = found.card
    figures = card.update.figures if card.update is not None else None
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
        pictures=_pictures(figures, str(target or "")) if figures is not None else (),
        confusion=confusion(figures),
        residuals=residual_rows(figures.residuals if figures is not None else None),
        slices=scores.slice_rows(card),
        slice_metric=label_of(main_metric(card)),
        tried=_tried(card),
        expects=_expects(found),
        classes=class_shares(card),
        changes=changes(card, found.parent, str(target) if target is not None else None),
        explanation=build_section(found.explanation),
        cost=_cost(card),
        lineage=lineage(card, found.cards, found.log, found.serving),
    )


def verdict(found: ReportData) -> Verdict:
    """What was decided, why, what serves, and what to type next."""
    card = found.card
    decision = decision_of(card)
    word, sign, happened = DECIDED[decision]
    sentence = describe_decision(card, happened)
    reasons = card.update.verdict.reasons if card.update is not None else ()
    serving = f"{card.name} {found.serving}" if found.serving else "nothing"
    if decision == "promote" and found.serving != card.version:
        sentence = describe_decision(card, f"The challenger went into service; {found.serving} serves now.")
    if decision == "awaiting_approval" and found.serving == card.version:
        sentence = describe_decision(card, "The challenger was approved by a person, and is in service.")
    says, command = next_step(card, decision, found.serving)
    return Verdict(
        decision or "adopt",
        word,
        sign,
        sentence,
        headline(card),
        serving,
        says,
        command,
        tuple((r.gate.replace("_", " "), str(r.finding), NAN.sub(UNKNOWN, describe_reason(r))) for r in reasons),
        tuple(n for n in (found.warning, *_notes(found)) if n),
    )


def _notes(found: ReportData) -> list[str]:
    card = found.card
    notes = [] if card.update is None else _update_notes(card.update)
    if card.reference_is_stand_in:
        notes.append("No training rows were given at adoption: the oldest new rows stood in for them.")
    if card.update is None:
        adopted = [e.data for e in found.log if e.kind is EventKind.ADOPTED and e.version == card.version]
        notes += [note for data in adopted[:1] if isinstance(data, Adopted) for note in data.notes]
    return notes


def _update_notes(update: UpdateRecord) -> list[str]:
    notes = []
    if update.refit:
        notes.append(
            "The scores are those of the judged model. The version stored was trained once more by the same recipe, "
            "with the judged rows included."
        )
    check = describe_refit_check(update.refit_check)
    if check:
        notes.append(f"Checked: {check}.")
    if update.blended_with:
        notes += update.refit_remarks
    if update.tuning is not None and update.tuning.best and update.tuning.best == update.tuning.incumbent:
        notes.append(
            "No point that was searched beat the hyperparameters in service: it was trained with them on newer rows."
        )
    again = update.rejudged
    if again is not None and again.promoted:
        notes.append(f"Held at first as {again.version}, and judged again on the rows of both updates together.")
    elif again is not None:
        word = DECIDED[again.verdict.decision][0]
        notes.append(f"{again.version}, held by the update before, was judged again with these rows: {word}.")
    return notes


def _search(card: VersionCard) -> tuple[Picture, ...]:
    tuning = card.update.tuning if card.update is not None else None
    pruning = card.update.pruning if card.update is not None else None
    drawn: list[tuple[str, Markup | None, str]] = []
    if tuning is not None:
        drawn.append(
            (
                "Scores of the trials",
                search_charts.history(tuning.trials),
                "The line is the best so far; grey: stopped early.",
            )
        )
    if pruning is not None:
        drawn.append(("Speed against score", search_charts.pareto(pruning, "latency"), search_charts.PARETO))
        drawn.append(("Size against score", search_charts.pareto(pruning, "size"), search_charts.PARETO))
    if tuning is not None:
        drawn.append(("Where the good points lie", search_charts.coordinates(tuning.trials, tuning.space), COORDINATES))
    return tuple(Picture(title, svg, caption) for title, svg, caption in drawn if svg is not None)


def _importances(card: VersionCard) -> tuple[Row, ...]:
    tuning = card.update.tuning if card.update is not None else None
    importances = tuning.importances if tuning is not None else {}
    return tuple(Row(name, (percent(share),)) for name, share in sorted(importances.items(), key=lambda pair: -pair[1]))


def _curves(card: VersionCard) -> tuple[Picture, ...]:
    curve = card.update.curve if card.update is not None else ()
    losses = [("Loss", *one) for one in pictures.learning_curves(curve, "loss")]
    scored = [("Score", *one) for one in pictures.learning_curves(curve, "score")]
    return tuple(
        Picture(f"{title}{f' of {member!r}' if member else ''}", svg) for title, member, svg in losses + scored
    )


def _pictures(figures: Figures, target: str) -> tuple[Picture, ...]:
    drawn: list[tuple[str, Markup | None, str]] = [
        ("ROC curve", pictures.roc(figures.roc), "Further up and to the left is better."),
        ("Precision and recall", pictures.precision_recall(figures.precision_recall), "Further up is better."),
        (
            "Calibration",
            pictures.calibration(figures.calibration, binary=bool(figures.roc)),
            "On the dotted line, events happen as often as stated; whiskers are 95 % intervals.",
        ),
    ]
    if len(figures.labels) == 2:
        named = [f"{target} = {label}" if target else label for label in figures.labels]
        for who in pictures.BOTH:
            counts = figures.histogram.get(who, {})
            caption = "The less the halves overlap, the better; each half on its own scale."
            drawn.append((f"Probabilities, {who}", pictures.score_histogram(counts, who, named), caption))
    drawn.append(
        (
            "Predicted against true",
            pictures.draw_predicted_against_true(figures.predicted),
            "Means of equally full bands; shaded: the middle 80 % of the truth.",
        )
    )
    drawn.append(("Errors", pictures.residuals(figures.residuals), "Narrower, and centred on 0, is better."))
    return tuple(Picture(title, svg, caption) for title, svg, caption in drawn if svg is not None)


def _tried(card: VersionCard) -> tuple[TriedModels, ...]:
    tried = card.adoption.tried if card.adoption is not None else ()
    return tuple(
        TriedModels(
            t.scaling,
            t.encoding,
            format_number(t.skill, 3),
            bar(t.skill if is_number(t.skill) else 0.0, "challenger" if i == 0 else "champion"),
            i == 0,
        )
        for i, t in enumerate(tried)
    )


def _expects(found: ReportData) -> tuple[Row, ...]:
    if found.card.parents or found.contract is None:
        return ()
    rows = []
    for c in found.contract.columns[:60]:
        if c.kind == "category":
            shown = ", ".join(c.categories[:6]) + (f", … ({len(c.categories)} in all)" if len(c.categories) > 6 else "")
        elif is_number(c.low) and is_number(c.high):
            form = count if c.whole else format_number
            shown = f"{form(c.low)} to {form(c.high)}, median {form(c.median)}"
        else:
            shown = ""
        rows.append(Row(c.name, (c.kind, shown, percent(c.missing) if c.missing else "")))
    return tuple(rows)


def _cost(card: VersionCard) -> tuple[tuple[str, str], ...]:
    update, profile = card.update, card.profile
    rows = [("rows used", count(profile.rows if profile is not None else None))]
    if update is not None:
        data, cleaning = update.data, update.data.cleaning
        rows = [
            ("rows read", count(cleaning.rows_read if cleaning is not None else None)),
            ("rows used", count(data.rows)),
            ("rows that judged", count(data.judged)),
            ("rows remembered before", count(data.replayed)),
            ("training, all candidates", seconds(update.training_seconds)),
            *cost_rows(update.cost),
        ]
    rows.append(("settings", setting_words(card.settings)))
    return tuple((label, value) for label, value in rows if value and value != UNKNOWN)
