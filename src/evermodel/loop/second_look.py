"""A challenger that was held is looked at once more, with the next update's rows, against the same champion."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evermodel.core.judgement import PairedScores, Verdict
from evermodel.core.judging import Goal, judge
from evermodel.core.store import Event, Store
from evermodel.core.table import Table
from evermodel.loop.auto import Recipe
from evermodel.loop.making import Made, paired
from evermodel.loop.memory import read_rows, write_rows
from evermodel.loop.prepare import Prepared
from evermodel.loop.results import SecondLook
from evermodel.loop.showing import shown_scores, told_reasons
from evermodel.loop.versions import load_version

LOOKS = 2  # planned for every challenger that may be held: core.judging.level shares the error out between them


@dataclass(frozen=True)
class Standing:
    """A challenger before the judge: what was made, both models' scores, the verdict."""

    made: Made
    scores: PairedScores
    verdict: Verdict
    margin: float | None = None
    version: str | None = None  # set where it is stored already: a challenger held before
    judged: Table | None = None  # the rows that judged it, for a second look

    @property
    def gain(self) -> float:
        """The gain at the point estimate by the metric that decides; -inf where no gate compared."""
        by = [c.gain for c in self.verdict.comparisons if c.metric == self.scores.metric]
        return by[0] if by else float("-inf")


def planned_looks(goal: Goal) -> int:
    """How many looks a challenger is promised: two where it may be held, one where it cannot be."""
    return LOOKS if goal == "better" else 1


def looked_again(store: Store, prepared: Prepared) -> Standing | None:
    """The challenger that the last update held, judged on the rows of that update and of this one together.

    None where nothing was held since the champion went into service, or where the new rows need another contract than
    it has. No row of this update was seen by either model, so all of them judge.
    """
    log = store.log(prepared.card.name)
    held = _held(log)
    if held is None or held.facts["again"]["champion"] != prepared.card.version:
        return None
    told: Mapping[str, Any] = held.facts["again"]
    card = store.card(prepared.card.name, held.facts["version"])
    model = load_version(store, card)
    if not model.contract.reads(prepared.champion.contract):
        return None
    model = dataclasses.replace(model, contract=prepared.champion.contract)
    first = read_rows(store, model.contract, [(prepared.memory.next_number - 1, told["rows"])])
    if first is None:
        return None
    rows = dataclasses.replace(first, blocks=None).with_rows(dataclasses.replace(prepared.new, blocks=None))
    made = Made(Recipe(card.change, card.settings), model, 0.0, ())
    scores = paired([e for e in log if e.number != held.number], prepared, made, rows, told["metric"])
    scores = dataclasses.replace(scores, look=2, looks=LOOKS)
    return Standing(made, scores, judge(scores, margin=told["margin"]), told["margin"], card.version)


def winner(first: Standing, again: Standing | None) -> Standing:
    """Who is decided upon: of two that pass, the larger gain; of one that passes, it; else the new challenger."""
    if again is None or again.verdict.decision != "promote":
        return first
    if first.verdict.decision == "promote" and first.gain >= again.gain:
        return first
    return again


def told_again(store: Store, standing: Standing, champion: str) -> dict[str, Any]:
    """What the event of a held challenger keeps for its second look; nothing where there will be none."""
    if standing.verdict.decision != "hold" or standing.version is not None or standing.judged is None:
        return {}
    rows = write_rows(store, standing.judged.frame)
    facts = {"champion": champion, "rows": rows, "metric": standing.scores.metric, "margin": standing.margin}
    return {"again": facts}


def shown(again: Standing | None, chosen: Standing) -> SecondLook | None:
    """The second look as results and reports tell it."""
    if again is None:
        return None
    v = again.verdict
    return SecondLook(
        str(again.version), again.made.recipe.change, v.decision, again is chosen, again.scores.metric,
        shown_scores(again.scores), told_reasons(v),
    )  # fmt: skip


def _held(log: Sequence[Event]) -> Event | None:
    """The event of the challenger that waits for its second look: the last one, rows set aside not counting."""
    last = next((e for e in reversed(log) if e.kind != "set aside"), None)
    return last if last is not None and last.kind == "held" and "again" in last.facts else None
