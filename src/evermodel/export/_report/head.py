"""The head of the page: what happened in one sentence, the deciding figures in one line, what to type next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from evermodel.core.store import Card
from evermodel.export._report.scores import main_metric
from evermodel.export._report.words import DECIDED, beside, count, known, label_of, number, size

ROOMS = ("tune", "prune", "fuse")
CHEAPER = {
    "promote": "The challenger does the champion's work for less and is in service.",
    "hold": "The rows do not suffice to show that nothing is lost; the champion stays in service.",
    "reject": "The smaller model loses too much, or saves nothing; the champion stays in service.",
}


def said(card: Card, decision: str) -> str:
    """One sentence: a pruned challenger was asked for less cost, any other for a gain."""
    own = CHEAPER.get(decision) if card.change == "prune" else None
    return own or DECIDED[decision][2]


def cost_facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Latency and size, before and after, where they were measured."""
    found = []
    if (latency := _pair(result, "latency")) is not None:
        found.append(("a batch, before → after", f"{_ms(latency[0])} → {_ms(latency[1])}"))
    if (sizes := _pair(result, "size")) is not None:
        packed = ", compressed" if result.get("compressed") else ""
        found.append((f"files{packed}, before → after", f"{size(sizes[0])} → {size(sizes[1])}"))
    return found


def _cheaper(result: Mapping[str, Any]) -> list[str]:
    """How many times faster and smaller, where that was measured."""
    found = []
    for key, more, less in (("latency", "faster", "slower"), ("size", "smaller", "larger")):
        if (pair := _pair(result, key)) is not None:
            before, after = pair
            times, word = max(before, after) / min(before, after), more if after <= before else less
            found.append(f"as {'fast' if key == 'latency' else 'large'}" if times < 1.05 else f"{times:.2g}x {word}")
    return found


def _pair(result: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    given = result.get(key) or ()
    if len(given) != 2 or not all(known(v) and v > 0 for v in given):
        return None
    before, after = given
    return float(before), float(after)


def _ms(value: float) -> str:
    return f"{1e3 * value:.3g} ms"


def headline(card: Card) -> str:
    """The deciding figure in one line: AUC 0.8123 → 0.8241 (+0.0118) on 750 new rows."""
    metric = main_metric(card)
    score = (card.scores.get("new") or {}).get(metric)
    if isinstance(score, Mapping):
        was, now = score.get("champion"), score.get("challenger")
        difference = beside(score.get("difference"), was)
        line = f"{label_of(metric)} {number(was)} → {number(now)} ({difference}) on {count(score.get('n'))} new rows"
        return "; ".join((line, *_cheaper(card.facts.get("result") or {})))
    value = (card.scores.get("reference") or {}).get(metric)
    return f"{label_of(metric)} {number(value)} on the reference rows" if known(value) else ""


def next_step(card: Card, decision: str, serving: str | None) -> tuple[str, str]:
    suffix = PurePath(str(card.facts.get("source") or "")).suffix
    file = f"updated_model{suffix}" if re.fullmatch(r"\.[a-z0-9]{1,9}", suffix) else "updated_model"
    needed = card.verdict.get("rows_needed")
    if decision == "promote" and serving == card.version:
        return "Take the model in service away as a file:", f"evermodel save {card.name} --to {file}"
    if decision == "hold":
        if card.change in ROOMS:
            return "When more labelled rows have come, hold this version against the champion again:", (
                f"evermodel judge {card.name} {card.version} NEW_ROWS"
            )
        more = f"About {count(needed)} judged rows would decide. " if known(needed) else ""
        return f"{more}When more rows have come:", f"evermodel update {card.name} NEW_ROWS"
    if decision == "reject":
        return "See what happened so far, or update with the next rows:", f"evermodel log {card.name}"
    if decision == "invalid":
        return (
            "Look at the rows first; they are tried again with the next ones:",
            f"evermodel update {card.name} NEXT_ROWS",
        )
    return "When labelled rows have come:", f"evermodel update {card.name} NEW_ROWS"
