"""What earlier searches of the same model found is where a later one begins."""

from __future__ import annotations

import time

from evermodel.core.searching import Racing, Trial
from evermodel.core.space import Values
from evermodel.loop._search.search import Runs
from evermodel.loop._search.study import point_key

BEST_OF = 3  # earlier searches whose best points are tried first
REMEMBERED = 40  # points of an earlier search that guide the sampler


def warm_start(runs: Runs) -> None:
    """Runs the best points of earlier searches, raced against what is deployed, and tells the sampler their others.

    An earlier score is shifted by how the deployed point moved from then to now: a sampler only compares.
    """
    incumbent = next((t for t in runs.trials() if t.note == "as deployed"), None)
    found = runs.study.earlier()
    for _, facts in found[:BEST_OF]:
        values = facts["best"]
        if set(values) == set(runs.space.names) and values in runs.space and not runs.over():
            runs.run(values, racing=Racing(), note="best of an earlier search")
    if incumbent is None or not found:
        return
    facts = found[0][1]
    shift = incumbent.score - float(facts["incumbent"])
    known = {point_key(t.values) for t in runs.trials()}
    for values, score in facts["points"]:
        if _fits(runs, values) and point_key(values) not in known:
            runs.study.add(Trial(-1, values, score + shift, "whole", note="earlier"))


def _fits(runs: Runs, values: Values) -> bool:
    return set(values) == set(runs.space.names) and values in runs.space


def remember_end(runs: Runs, best: Trial, incumbent: Trial) -> None:
    """Notes at the study what a later search will ask for."""
    whole = sorted((t for t in runs.trials() if t.state != "failed"), key=lambda t: -t.score)[:REMEMBERED]
    runs.study.note("best", dict(best.values))
    runs.study.note("incumbent", incumbent.score)
    runs.study.note("points", [[dict(t.values), t.score] for t in whole])
    runs.study.note("ended", time.time())
