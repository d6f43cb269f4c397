"""Writes down what an update did: the version, the remembered rows, the event; moves the names, all or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.figures import figures
from evermodel.core.files import disk_space
from evermodel.core.judgement import PairedScores, Verdict
from evermodel.core.judging import skill
from evermodel.core.profile import profile
from evermodel.core.store import Card, Move, Store
from evermodel.loop.home import event, now
from evermodel.loop.making import Made
from evermodel.loop.memory import Memory, remember, write_memory
from evermodel.loop.prepare import Prepared
from evermodel.loop.results import Updated, plain
from evermodel.loop.versions import framework_name, package_versions, put_version

KINDS = {"promote": "promoted", "hold": "held", "reject": "rejected", "invalid": "set aside"}
MOST_ASIDE = 3  # blocks set aside that are kept to be tried again


@disk_space(Path("the home"))
def record(
    store: Store, prepared: Prepared, judged: Made, served: Made | None,
    scores: PairedScores, verdict: Verdict, result: Updated,
) -> Updated:  # fmt: skip
    """Puts the version, then moves champion and memory in one step. Raises Moved if somebody was first."""
    name, was = prepared.card.name, prepared.card.version
    best = served or judged
    facts = {"figures": figures(scores, best.model.contract.classes)}
    card = put_version(store, best.model, _card(prepared, best, judged, verdict, result, facts))
    memory = _memory(store, prepared, verdict)
    moves = [Move("memory", memory.digest, prepared.memory.digest or None)]
    if verdict.decision == "promote":
        moves.append(Move("champion", card.version, was))
    else:
        moves.append(
            Move("champion", was, was)
        )  # states what was expected: a verdict against a former champion is void
    store.point(name, moves, [event(name, KINDS[verdict.decision], _facts(scores, verdict, result, card, judged))])
    serving = card.version if verdict.decision == "promote" else was
    return dataclasses.replace(result, challenger=card.version, in_service=serving)


def _card(
    prepared: Prepared, best: Made, judged: Made, verdict: Verdict, result: Updated, drawn: Mapping[str, Any]
) -> Card:
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
        verdict=plain(dataclasses.asdict(verdict)),
        curves=tuple(dataclasses.asdict(e) for e in judged.curve),
        packages=package_versions(),
        facts={
            **{k: v for k, v in prepared.card.facts.items() if k in ("shuffled", "source", "stands_in")},
            **drawn,
            "result": plain(dataclasses.asdict(result)),
            "finished": result.finished,
            "profile": profile(prepared.new.frame.lazy(), prepared.champion.contract),
        },
    )


def _memory(store: Store, prepared: Prepared, verdict: Verdict) -> Memory:
    if prepared.cleaned is None:  # no new rows came
        return prepared.memory
    if verdict.decision != "invalid":
        clean = dataclasses.replace(prepared.memory, aside=())
        return remember(store, clean, prepared.new, prepared.held, prepared.source)
    staged = store.stage() / "aside.parquet"
    prepared.cleaned.collect().frame.write_parquet(staged)
    aside = (*prepared.memory.aside, store.keep(staged))[-MOST_ASIDE:]
    return write_memory(store, dataclasses.replace(prepared.memory, aside=aside))


def _facts(scores: PairedScores, verdict: Verdict, result: Updated, card: Card, judged: Made) -> dict[str, Any]:
    decisive = next((c for c in verdict.comparisons if c.metric == scores.metric), None)
    facts: dict[str, Any] = {
        "version": card.version,
        "champion": result.champion,
        "change": result.change,
        "rows": result.data["rows"],
        "reasons": result.reasons,
        "candidates": plain(result.candidates),
        "skill": _finite(skill(scores, scores.new.challenger)[0]),
        "seconds": judged.seconds,
    }
    if decisive is not None:
        facts["evidence"] = dataclasses.asdict(decisive)
    return facts


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
