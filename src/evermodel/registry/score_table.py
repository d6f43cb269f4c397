"""Every metric of two models side by side, with intervals, as reports and JSON show it."""

from __future__ import annotations

from evermodel.core.records.update_record import Score
from evermodel.core.records.verdict import Finding, ReasonCode, Verdict
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput
from evermodel.judging.task_metrics import list_metrics
from evermodel.judging.verdict_wording import describe_reason
from evermodel.registry.update_result import ScoreTable

WORST_FIRST = (Finding.INVALID, Finding.FAIL, Finding.HOLD, Finding.PASS)
BY_NAME = ("forgetting", "guard_rows")  # gates that run only where a person names them
TOLD = (
    ReasonCode.VOTES_KEPT,
    ReasonCode.SUSPICION_REFUTED,
    ReasonCode.BELOW_BASELINE,
)  # worth telling
UNTESTED = (ReasonCode.NO_PAST_ROWS, ReasonCode.NO_SLICE_TESTED)


def build_score_table(scores: JudgeInput) -> ScoreTable:
    """ "new" | "past" | "guarded" | "in_sample" -> metric -> both scores and the interval of their difference."""
    shown: dict[str, dict[str, Score]] = {}
    by = {"new": scores.new, "past": scores.past, "guarded": scores.guarded, "in_sample": scores.in_sample}
    for where, rows in by.items():
        if rows is None:
            continue
        shown[where] = {}
        for metric in list_metrics(scores.task):
            c = compare_predictions(metric, rows, seed=scores.seed)
            shown[where][metric] = Score(c.champion, c.challenger, c.difference, c.low, c.high, c.n)
    return ScoreTable(shown)


def describe_reasons(verdict: Verdict) -> tuple[str, ...]:
    """The reasons worth a person's time: those that decided, the worst first, then those with numbers behind them.

    A gate that runs only where it is named is also shown where it had nothing to test: whoever named it counts on it.
    """
    told = [
        r
        for r in verdict.reasons
        if r.finding is not Finding.PASS
        or r.comparison is not None
        or r.code in TOLD
        or (r.gate in BY_NAME and r.code in UNTESTED)
    ]
    return tuple(describe_reason(r) for r in sorted(told, key=lambda r: WORST_FIRST.index(r.finding)))
