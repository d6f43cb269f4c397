"""Grades, and the policies that turn them into decisions, on rows whose truth is known."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.records.verdict import Decision, Grade, JudgePolicy, ReasonCode
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.grading import grade_comparison, grade_rows
from evermodel.judging.judge import judge
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.judging.judge_request import JudgeRequest
from evermodel.judging.task_metrics import read_margins
from evermodel.judging.verdict_headline import describe_evidence
from evermodel.judging.verdict_wording import describe_reason


def noisy(
    champion: float, challenger: float, n: int = 2000, positives: float = 0.4, seed: int = 0, **more
) -> JudgeInput:
    """Both models know the truth, each with its own noise on the log odds; the noisier one has the higher loss."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < positives).astype(int)
    signal = 1.5 * (2 * y - 1) + rng.standard_normal(n)
    p = [1 / (1 + np.exp(-(signal + s * rng.standard_normal(n)))) for s in (champion, challenger)]
    rows = PairedPredictions(y, *(np.column_stack([1 - q, q]) for q in p))
    return JudgeInput("binary", "log_loss", rows, guard="auc", **more)


def codes(verdict) -> dict[str, str]:
    return {r.gate: str(r.code) for r in verdict.reasons}


def test_the_four_grades():
    for judged, grade in (
        (noisy(2.0, 0.1), Grade.BETTER),
        (noisy(0.1, 2.0), Grade.WORSE),
        (noisy(0.3, 0.3, n=20_000), Grade.NO_WORSE),
        (noisy(0.8, 0.8, n=60), Grade.INCONCLUSIVE),
    ):
        assert grade_rows(judged, judged.new).grade is grade
    pair = noisy(0.8, 0.8, n=60)
    one_class = dataclasses.replace(pair, metric="auc", new=dataclasses.replace(pair.new, y=np.zeros(60, dtype=int)))
    assert grade_rows(one_class, one_class.new).grade is None


@settings(max_examples=40, deadline=None)
@given(champion=st.floats(0, 2), challenger=st.floats(0, 2), n=st.integers(20, 400), seed=st.integers(0, 50))
def test_a_grade_says_what_its_intervals_say_and_mirrors(champion, challenger, n, seed):
    pair = noisy(champion, challenger, n, seed=seed)
    mirrored = PairedPredictions(pair.new.y, pair.new.challenger, pair.new.champion)
    there, back = (grade_rows(pair, rows) for rows in (pair.new, mirrored))
    c = there.comparison
    assert (there.grade is Grade.BETTER) == (c.gain_low > 0)
    assert (there.grade is Grade.WORSE) == (c.gain_high < 0)
    assert (there.grade is Grade.BETTER) == (back.grade is Grade.WORSE)


def test_no_worse_promotes_rejects_and_holds():
    assert judge(noisy(2.0, 0.1), policy="no_worse").decision == "promote"
    assert judge(noisy(0.1, 2.0), policy="no_worse").decision == "reject"
    alike = noisy(0.3, 0.3, n=20_000)
    assert judge(alike, policy="no_worse").decision == "promote", "refreshed, and harm is ruled out"
    assert judge(alike, policy="better").decision in ("hold", "promote")
    few = judge(noisy(0.8, 0.8, n=60), policy="no_worse")
    assert (few.decision, codes(few)["no_worse"]) == ("hold", "harm_not_excluded")
    assert few.policy is JudgePolicy.NO_WORSE


def test_a_log_loss_that_is_shown_worse_is_never_promoted_by_an_auc():
    pair = noisy(0.3, 0.3, n=3000)
    q = np.clip(pair.new.champion[:, 1], 1e-9, 1 - 1e-9)
    boast = 1 / (1 + np.exp(-15 * np.log(q / (1 - q))))  # the same order of rows, far too sure
    boastful = dataclasses.replace(pair.new, challenger=np.column_stack([1 - boast, boast]))
    for policy in ("no_worse", "better", "cheaper"):
        verdict = judge(dataclasses.replace(pair, new=boastful), policy=policy)
        assert verdict.decision == "reject", policy
        assert "worse beyond doubt by log loss" in describe_evidence(verdict.graded)


def test_evidence_of_several_updates_decides_where_one_block_cannot():
    earlier = tuple(compare_predictions("log_loss", noisy(0.9, 0.7, n=1500, seed=s).new) for s in range(1, 5))
    few = noisy(0.75, 0.7, n=250, seed=10)
    assert judge(few, policy="no_worse").decision == "hold"
    pooled = judge(dataclasses.replace(few, earlier_updates=earlier), policy="no_worse")
    assert (pooled.decision, codes(pooled)["no_worse"]) == ("promote", "recipe_no_worse")
    said = describe_evidence(pooled.graded)
    assert said.startswith("neither better nor worse beyond doubt") and "over 5 updates" in said
    harmed = dataclasses.replace(noisy(0.2, 1.2, n=250, seed=9), earlier_updates=earlier)
    assert judge(harmed, policy="no_worse").decision == "reject", "former merit excuses no harm now"


def test_the_guard_holds_an_estimate_that_falls_and_fails_one_that_is_shown_worse():
    pair = noisy(0.3, 0.3, n=4000)
    order = np.argsort(pair.new.champion[:, 1])
    q = pair.new.champion[:, 1].copy()
    q[order[1000:3000]] = np.random.default_rng(0).permutation(q[order[1000:3000]])  # the middle loses its order
    worse = dataclasses.replace(pair.new, challenger=np.column_stack([1 - q, q]))
    assert codes(judge(dataclasses.replace(pair, new=worse), policy="no_worse"))["guard"] == "guard_shown_worse"
    wide = judge(dataclasses.replace(pair, new=worse), policy="no_worse", guard_margin=50)
    assert codes(wide)["guard"] == "guard_kept", "a loss that is shown to be smaller than the margin does not count"
    few = dataclasses.replace(noisy(0.3, 0.9, n=80, seed=3))
    reason = next(r for r in judge(few, policy="no_worse", guard_margin=0.01).reasons if r.gate == "guard")
    assert reason.code in (ReasonCode.GUARD_FELL, ReasonCode.GUARD_SHOWN_WORSE)
    assert codes(judge(few, policy="refresh"))["guard"] in ("guard_kept", "guard_shown_worse")


def test_few_events_hold_with_the_rows_that_would_do():
    verdict = judge(noisy(2.0, 0.1, n=400, positives=0.01), policy="refresh")
    events = next(r for r in verdict.reasons if r.gate == "enough_events")
    assert (verdict.decision, events.finding) == ("hold", "hold")
    assert events.events.n_events < 10 and verdict.rows_needed > 400
    assert re.match(
        r"\d+ of 400 rows lie outside of the commonest class; a verdict needs 10\.", describe_reason(events)
    )
    assert judge(noisy(2.0, 0.1, n=400), policy="refresh").decision == "promote"


def test_what_is_forgotten_rejects_unless_the_world_moved():
    forgot = noisy(0.1, 2.0, seed=5).new
    alike = noisy(0.3, 0.3, n=20_000, past=forgot)
    assert codes(judge(alike, policy="no_worse"))["retention"] == "past_forgotten"
    moved = noisy(1.0, 0.4, past=forgot)  # better now beyond doubt, by less than was lost
    assert codes(judge(moved, policy="no_worse"))["retention"] == "past_forgotten"
    in_time = dataclasses.replace(moved, in_time=True)
    assert codes(judge(in_time, policy="no_worse"))["retention"] == "past_loss_outweighed"
    assert judge(dataclasses.replace(alike, past=None), policy="no_worse").decision == "promote"


def test_rare_events_determine_the_interval_of_a_log_loss():
    many, rare = (compare_predictions("log_loss", noisy(0.6, 0.4, 2000, share).new) for share in (0.5, 0.004))
    assert many.n == rare.n
    widths = [(c.high - c.low) / c.standard_error for c in (many, rare)]
    assert widths[1] > 1.1 * widths[0]


@pytest.mark.parametrize(
    ("margin", "metric", "expected"),
    [
        (None, None, (None, None)),
        (2.0, None, (None, 2.0)),
        ({"auc": 1.0, "log_loss": 3.0}, None, (3.0, 1.0)),
        (2.0, "accuracy", (2.0, None)),
    ],
)
def test_a_margin_is_that_of_the_metric_which_people_look_at(margin, metric, expected):
    assert read_margins(margin, metric, "binary") == expected


def test_requests_are_checked_before_anything_is_trained():
    with pytest.raises(BadSetting, match="No margin of 'f1'"):
        read_margins({"f1": 1.0}, None, "binary")
    with pytest.raises(BadSetting, match="0 or more"):
        read_margins(-1.0, None, "binary")
    with pytest.raises(BadSetting, match="policy must be one of"):
        JudgeRequest(policy="newest").check("binary")
    with pytest.raises(NotFound):
        JudgeRequest(gates={"negativ_flips": {}}).check("binary")
    terms = JudgeRequest(margin=0.5).read_terms("binary", JudgePolicy.NO_WORSE)
    assert (terms.metric, terms.guard, terms.shown_margin, terms.policy) == ("log_loss", "auc", 0.5, "no_worse")
    assert JudgeRequest().read_terms("regression", JudgePolicy.BETTER).guard is None


def test_a_grade_without_a_difference_is_none():
    undefined = compare_predictions("auc", PairedPredictions(np.zeros(4, dtype=int), *[np.full((4, 2), 0.5)] * 2))
    assert grade_comparison(undefined, undefined, 0.01) is None


def test_a_headline_names_the_gate_that_stops_what_the_metric_lets_pass():
    """Better calibrated and worse in order: log loss falls, and so does AUC."""
    random = np.random.default_rng(0)
    y = (random.random(4000) < 0.4).astype(int)
    signal = 1.5 * (2 * y - 1) + random.standard_normal(4000)
    odds = (20 * signal, 2.2 * signal + random.standard_normal(4000))
    rows = PairedPredictions(y, *(np.column_stack([1 - q, q]) for q in (1 / (1 + np.exp(-z)) for z in odds)))
    verdict = judge(JudgeInput("binary", "log_loss", rows, guard="auc"), policy="no_worse")
    assert verdict.decision is Decision.REJECT and "guard" in verdict.stopped_by
    said = describe_evidence(verdict.graded, verdict.stopped_by)
    assert said.startswith("better beyond doubt by log loss") and said.endswith("; the gate guard stopped it")
    better = judge(noisy(2.0, 0.1), policy="no_worse")
    assert better.stopped_by == () and "gate" not in describe_evidence(better.graded, better.stopped_by)
