"""The head of the page: what happened in one sentence, the deciding figures in one line, what to type next."""

from __future__ import annotations

import re
from pathlib import PurePath

from evermodel.core.records.search_record import ServingCost
from evermodel.core.records.version_card import VersionCard
from evermodel.judging.verdict_headline import describe_evidence
from evermodel.judging.verdict_wording import ROWS
from evermodel.reports.score_tables import main_metric
from evermodel.reports.words import beside, count, format_number, is_number, label_of, size

SEARCHES = ("tune", "prune", "fuse")


def describe_decision(card: VersionCard, happened: str) -> str:
    """``happened``, under which policy, and what the new rows showed, whatever was decided."""
    update = card.update
    if update is None or update.verdict.policy is None:
        return happened
    evidence = describe_evidence(update.verdict.graded, update.verdict.stopped_by)
    shown = f" The challenger is {evidence}." if evidence else ""
    return f"{happened} Policy: {update.verdict.policy}.{shown}"


def cost_rows(cost: ServingCost | None) -> list[tuple[str, str]]:
    """Latency and size, before and after, where they were measured."""
    rows = []
    if cost is not None and _is_measured(cost.latency):
        rows.append(("a batch, before → after", f"{_ms(cost.latency[0])} → {_ms(cost.latency[1])}"))
    if cost is not None and _is_measured(cost.size):
        packed = ", compressed" if cost.compressed else ""
        rows.append((f"files{packed}, before → after", f"{size(cost.size[0])} → {size(cost.size[1])}"))
    return rows


def _describe_cost(cost: ServingCost | None) -> list[str]:
    """How many times faster and smaller, where that was measured."""
    if cost is None:
        return []
    words = []
    for pair, same, more, less in (
        (cost.latency, "as fast", "faster", "slower"),
        (cost.size, "as large", "smaller", "larger"),
    ):
        if _is_measured(pair):
            before, after = pair
            times, word = max(before, after) / min(before, after), more if after <= before else less
            words.append(same if times < 1.05 else f"{times:.2g}x {word}")
    return words


def _is_measured(pair: tuple[float, float]) -> bool:
    return all(is_number(value) and value > 0 for value in pair)


def _ms(value: float) -> str:
    return f"{1e3 * value:.3g} ms"


def headline(card: VersionCard) -> str:
    """The deciding figure in one line: AUC 0.8123 → 0.8241 (+0.0118) on 750 new rows."""
    metric = main_metric(card)
    score = card.update.scores.get("new", {}).get(metric) if card.update is not None else None
    if card.update is not None and score is not None:
        difference = beside(score.difference, score.champion)
        line = (
            f"{label_of(metric)} {format_number(score.champion)} → {format_number(score.challenger)} ({difference}) "
            f"on {count(score.n)} {ROWS[card.update.verdict.judged_rows]}"
        )
        return "; ".join((line, *_describe_cost(card.update.cost)))
    value = card.known_scores.get(metric)
    return f"{label_of(metric)} {format_number(value)} on the reference rows" if is_number(value) else ""


def next_step(card: VersionCard, decision: str, serving: str | None) -> tuple[str, str]:
    """What to do now, in words, and the command for it."""
    suffix = PurePath(card.source).suffix
    file = f"updated_model{suffix}" if re.fullmatch(r"\.[a-z0-9]{1,9}", suffix) else "updated_model"
    needed = card.update.verdict.rows_needed if card.update is not None else None
    if decision in ("promote", "awaiting_approval") and serving == card.version:
        return "Take the model in service away as a file:", f"evermodel save {card.name} --to {file}"
    if decision == "awaiting_approval" and serving != card.version:
        return "Put the challenger in service, or decline it with --reject:", f"evermodel approve {card.name}"
    if decision == "hold":
        if card.strategy in SEARCHES:
            return "When more labelled rows have come, hold this version against the champion again:", (
                f"evermodel judge {card.name} {card.version} NEW_ROWS"
            )
        more = f"About {count(needed)} judged rows would decide. " if is_number(needed) else ""
        return f"{more}When more rows have come:", f"evermodel update {card.name} NEW_ROWS"
    if decision == "reject":
        return "See what happened so far, or update with the next rows:", f"evermodel log {card.name}"
    if decision == "invalid":
        return (
            "Look at the rows first; they are tried again with the next ones:",
            f"evermodel update {card.name} NEXT_ROWS",
        )
    return "When labelled rows have come:", f"evermodel update {card.name} NEW_ROWS"
