"""What earlier searches of the same model found is where a later one begins."""

from __future__ import annotations

import math
import time

from evermodel.core.model.trials import Racing
from evermodel.core.records.search_record import Trial, Value, Values
from evermodel.searching.tune.search import SearchRuns

BEST_OF = 3  # earlier searches whose best points are tried first


def warm_start(runs: SearchRuns) -> None:
    """Runs the best points of earlier searches, newest first, raced against what is deployed.

    Their other points are not told to the sampler: on electricity, whose best point moves, it then searched where the
    best had been, and did not come within .005 of the new one in 25 trials.
    """
    for _, attributes in runs.study.earlier()[:BEST_OF]:
        values = attributes["best"]
        known = any(_equal(values, t.values) for t in runs.trials())
        if set(values) == set(runs.space.names) and values in runs.space and not known and not runs.over():
            runs.run(values, racing=Racing(), note="best of an earlier search")


def _equal(a: Values, b: Values) -> bool:
    """Equal but for the digits that a model's file leaves out: the deployed point is not trained twice."""
    return set(a) == set(b) and all(_same(a[k], b[k]) for k in a)


def _same(a: Value, b: Value) -> bool:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-4)
    return a == b


def remember_end(runs: SearchRuns, best: Trial) -> None:
    """Notes at the study what a later search will ask for."""
    runs.study.note("best", dict(best.values))
    runs.study.note("ended", time.time())
