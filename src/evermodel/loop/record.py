"""Writes down what an update did: the version, the remembered rows, the event; moves the names, all or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from evermodel.core import plugs
from evermodel.core.figures import figures
from evermodel.core.files import disk_space
from evermodel.core.judging import skill
from evermodel.core.profile import profile
from evermodel.core.store import Card, Move, Store
from evermodel.core.table import Table
from evermodel.loop.home import event, now
from evermodel.loop.making import Made, paired
from evermodel.loop.memory import Memory, remember, write_memory
from evermodel.loop.prepare import Prepared
from evermodel.loop.results import Updated, plain
from evermodel.loop.second_look import Standing, told_again
from evermodel.loop.versions import framework_name, package_versions, put_version

R = TypeVar("R", bound=Updated)
KINDS = {"promote": "promoted", "hold": "held", "reject": "rejected", "invalid": "set aside"}
MOST_ASIDE = 3  # blocks set aside that are kept to be tried again


@disk_space(Path("the home"))
def record(store: Store, prepared: Prepared, chosen: Standing, served: Made | None, result: R, seed: int = 0) -> R:
    """Puts the version, then moves champion and memory in one step. Raises Moved if somebody was first."""
    name, was, decision = prepared.card.name, prepared.card.version, chosen.verdict.decision
    best = served or chosen.made
    if chosen.version is not None and served is None:  # held before, and stored then as it was judged
        card = store.card(name, chosen.version)
    else:
        facts = {"figures": figures(chosen.scores, best.model.contract.classes)}
        card = dataclasses.replace(_card(prepared, best, chosen, result, facts), seed=seed)
        card = put_version(store, best.model, card, prepared.new.frame)
    memory = _memory(store, prepared, chosen)
    # Where the champion stays, that is stated as well: a verdict against a former champion is void.
    to = card.version if decision == "promote" else was
    moves = [Move("memory", memory.digest, prepared.memory.digest or None), Move("champion", to, was)]
    facts = _facts(chosen, served, result, card) | told_again(store, chosen, was)
    store.point(name, moves, [event(name, KINDS[decision], facts)])
    return dataclasses.replace(result, challenger=card.version, in_service=to)


def _card(prepared: Prepared, best: Made, chosen: Standing, result: Updated, drawn: Mapping[str, Any]) -> Card:
    return Card(
        prepared.card.name,
        "",
        parents=(prepared.card.version,),
        change=result.change,
        settings=dict(result.settings),
        framework=framework_name(best.model),
        created=now(),
        data={"new": prepared.source, "memory": prepared.memory.digest},
        scores=plain(result.scores),
        verdict=plain(dataclasses.asdict(chosen.verdict)),
        curves=tuple(dataclasses.asdict(e) for e in (chosen.made.curve or best.curve)),
        packages=package_versions(),
        facts={
            **{k: v for k, v in prepared.card.facts.items() if k in ("shuffled", "source", "stands_in")},
            **drawn,
            "result": plain(dataclasses.asdict(result)),
            "finished": result.finished,
            **({"beside": best.beside} if best.beside else {}),
            "profile": profile(prepared.new.frame.lazy(), prepared.champion.contract),
        },
    )


def _memory(store: Store, prepared: Prepared, chosen: Standing) -> Memory:
    decision = chosen.verdict.decision
    if prepared.cleaned is None:  # no new rows came
        return prepared.memory
    known = dataclasses.replace(prepared.memory, classes=prepared.champion.contract.classes)
    if decision != "invalid":
        clean = dataclasses.replace(known, aside=())
        if prepared.aside is not None and _agrees(store, prepared, chosen, prepared.aside):
            none = np.zeros(len(prepared.aside), dtype=bool)
            clean = remember(store, clean, prepared.aside, none, "set aside before")
        return remember(store, clean, prepared.new, prepared.held, prepared.source)
    staged = store.stage() / "aside.parquet"
    prepared.cleaned.collect().frame.write_parquet(staged)
    aside = (*prepared.memory.aside, store.keep(staged))[-MOST_ASIDE:]
    return write_memory(store, dataclasses.replace(known, aside=aside))


def _agrees(store: Store, prepared: Prepared, chosen: Standing, aside: Table) -> bool:
    """Whether a challenger that learnt from the rows since has its usual skill on rows set aside: then they are true.

    Wrong labels have come back with the next rows otherwise, and cost up to thirty points (``bench/poison.py``).
    """
    pair = paired(store.log(prepared.card.name), prepared, chosen.made, aside, chosen.scores.metric)
    finding: str = plugs.function("gates", "skill")(pair).finding
    return finding == "pass"


def _facts(chosen: Standing, served: Made | None, result: Updated, card: Card) -> dict[str, Any]:
    scores, verdict = chosen.scores, chosen.verdict
    decisive = next((c for c in verdict.comparisons if c.metric == scores.metric), None)
    facts: dict[str, Any] = {
        "version": card.version,
        "champion": result.champion,
        "change": result.change,
        "rows": result.data["rows"],
        "reasons": result.reasons,
        "candidates": plain(result.candidates),
        "skill": _finite(skill(scores, scores.new.challenger)[0]),
        "seconds": chosen.made.seconds,
        "training_processor_seconds": chosen.made.processor + (served.processor if served else 0.0),
        "second_look": plain(result.second_look),
    }
    if decisive is not None:
        facts["evidence"] = dataclasses.asdict(decisive)
    return facts


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
