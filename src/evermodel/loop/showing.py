"""Every metric of two models side by side, with intervals, as reports and JSON show it."""

from __future__ import annotations

from evermodel.core.comparing import compare
from evermodel.core.judgement import PairedScores
from evermodel.loop.results import Score
from evermodel.loop.scoring import metrics_for


def shown_scores(scores: PairedScores) -> dict[str, dict[str, Score]]:
    """ "new" | "past" -> metric -> both scores and the interval of their difference."""
    shown: dict[str, dict[str, Score]] = {}
    for where, rows in (("new", scores.new), ("past", scores.past)):
        if rows is None:
            continue
        shown[where] = {}
        for metric in metrics_for(scores.task):
            c = compare(metric, rows, seed=scores.seed)
            shown[where][metric] = Score(c.champion, c.challenger, c.difference, c.low, c.high, c.n)
    return shown
