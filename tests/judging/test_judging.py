"""The verdict and the gates, on rows whose truth is known."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.verdict import Cost, CostChange, Finding, JudgePolicy, Reason, ReasonCode, Verdict
from evermodel.judging.baseline_skill import measure_skill
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.grading import analysis_confidence, convert_margin
from evermodel.judging.judge import combine_reasons, judge
from evermodel.judging.judge_input import GATES, JudgeInput, PairedPredictions
from evermodel.judging.row_selection import select_input_rows, split_for_confirmation
from evermodel.judging.verdict_wording import describe_reason
from evermodel.registry.score_table import describe_reasons
from evermodel.testing.gates import (
    CHECKS,
    check_a_model_is_not_harmed_by_itself,
    check_gate,
    check_inputs_are_not_changed,
    check_nan_is_never_scored,
    check_reason_can_be_stored,
    check_reason_has_a_text,
    check_reason_names_gate_and_finding,
    check_row_order_does_not_matter,
    check_rows_needed_only_with_hold,
    check_same_rows_same_reason,
    check_settings_have_defaults,
)

EYE = np.eye(2)


def counted(won, lost, n, **more):
    """n rows of which the challenger alone has ``won`` right, the champion alone ``lost``."""
    champion, challenger = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
    champion[:won] = challenger[won : won + lost] = 1
    return JudgeInput(
        "binary", "accuracy", PairedPredictions(np.zeros(n, dtype=int), EYE[champion], EYE[challenger]), **more
    )


def finding(verdict, gate):
    return next(r for r in verdict.reasons if r.gate == gate)


@pytest.mark.parametrize(
    ("won", "lost", "n", "decision"),
    [
        (80, 40, 1000, "promote"),
        (55, 50, 2000, "promote"),  # a small gain, and a point of harm refuted
        (16, 14, 200, "hold"),  # a gain, but a point of harm is not refuted
        (50, 52, 20_000, "hold"),  # as good as alike: nothing gained
        (40, 80, 1000, "reject"),
        (0, 0, 500, "hold"),
        (1, 0, 1, "hold"),
        (0, 1, 1, "hold"),
        (0, 300, 300, "reject"),
        (300, 0, 300, "promote"),
    ],
)
def test_decisions(won, lost, n, decision):
    verdict = judge(counted(won, lost, n))
    assert verdict.decision == decision, verdict
    assert (verdict.rows_needed is not None) <= (decision == "hold")


def test_hold_says_how_many_rows():
    verdict = judge(counted(22, 18, 400))
    assert verdict.decision == "hold"
    assert 400 < verdict.rows_needed < 10_000
    assert f"{verdict.rows_needed:,}" in " ".join(map(describe_reason, verdict.reasons))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(1, 2000))
def test_more_wins_never_make_it_worse_and_no_model_beats_both_ways(data, n):
    won = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - won))
    rank = {"reject": 0, "hold": 1, "promote": 2}
    decision = judge(counted(won, lost, n)).decision
    assert not (decision == "promote" and judge(counted(lost, won, n)).decision == "promote")
    if won + lost < n:
        assert rank[judge(counted(won + 1, lost, n)).decision] >= rank[decision]


def test_nan_predictions_and_undefined_scores_are_invalid():
    pair = counted(50, 20, 500)
    spoilt = pair.new.challenger.copy()
    spoilt[7] = np.nan
    assert judge(dataclasses.replace(pair, new=dataclasses.replace(pair.new, challenger=spoilt))).decision == "invalid"
    one_class = dataclasses.replace(pair, metric="auc")
    assert judge(one_class).decision == "invalid"
    empty = PairedPredictions(np.zeros(0, dtype=int), EYE[:0], EYE[:0])
    assert judge(dataclasses.replace(pair, new=empty)).decision == "invalid"


def test_past_rows():
    good = counted(60, 30, 1000)
    assert judge(dataclasses.replace(good, past=counted(30, 32, 2000).new)).decision == "promote"
    # shown worse by more than three margins on the past, and the gain now is smaller than that
    assert judge(dataclasses.replace(good, past=counted(20, 180, 2000).new)).decision == "reject"
    # the world moved: the gain now is beyond doubt and larger
    moved = dataclasses.replace(counted(300, 100, 1000), past=counted(20, 180, 2000).new)
    assert judge(moved).decision == "promote"
    assert finding(judge(moved), "not_worse").code == ReasonCode.PAST_LOSS_OUTWEIGHED
    assert judge(dataclasses.replace(good, past=counted(20, 180, 2000).new), past_margin=12).decision == "promote"


def test_pooled_evidence_lends_gain_but_never_innocence():
    history = tuple(compare_predictions("accuracy", counted(90, 10, 1000).new, confidence=0.9) for _ in range(6))
    assert judge(counted(40, 41, 3000, earlier_updates=history)).decision == "promote", "alike now, better all along"
    assert judge(counted(14, 14, 200, earlier_updates=history)).decision == "hold", (
        "harm now is not refuted by former merit"
    )
    assert judge(counted(40, 80, 1000, earlier_updates=history)).decision == "reject"
    lent = {"not_worse": {"lend": 0.3}}
    assert judge(counted(16, 15, 150, earlier_updates=history), gates=lent).decision == "hold"
    assert judge(counted(18, 14, 300, earlier_updates=history), gates=lent).decision == "promote"


def test_two_looks_share_one_error():
    assert analysis_confidence(0.95, 1, 1) == pytest.approx(0.95)
    assert analysis_confidence(0.95, 1, 2) > 0.95
    with pytest.raises(BadSetting, match="n_analyses"):
        analysis_confidence(0.95, 3, 3)
    edge = counted(55, 47, 1000)
    assert judge(edge).decision == "promote"
    assert judge(dataclasses.replace(edge, n_analyses=2)).decision == "hold"


def test_slices():
    n = 2000
    pair = counted(100, 60, n)
    slices = {"even": np.arange(n) % 2 == 0, "broken": np.arange(n) // 100 == 3, "small": np.arange(n) < 5}
    challenger = pair.new.challenger.copy()
    challenger[slices["broken"]] = EYE[(np.arange(100) % 5 == 0).astype(int)]
    harmed = dataclasses.replace(pair, new=dataclasses.replace(pair.new, challenger=challenger, slices=slices))
    reason = finding(judge(harmed), "slices")
    assert reason.finding == "fail"
    assert reason.slices.harmed == "broken"
    assert "'broken'" in describe_reason(reason)
    whole = dataclasses.replace(pair, new=dataclasses.replace(pair.new, slices=slices))
    assert finding(judge(whole), "slices").finding == "pass"


def test_an_earlier_domain_that_was_forgotten_is_named_whatever_was_gained():
    gained, known = counted(400, 0, 1000), counted(40, 45, 1000).new
    domains = {name: np.arange(1000) // 250 == at for at, name in enumerate(("banking", "travel", "home", "work"))}
    challenger = known.challenger.copy()
    challenger[domains["home"]] = EYE[(np.arange(250) % 12 == 0).astype(int)]
    forgot = dataclasses.replace(known, challenger=challenger, slices=domains)
    asked = {"forgetting": {}}
    reason = finding(judge(dataclasses.replace(gained, past=forgot), gates=asked), "forgetting")
    assert (reason.finding, reason.rows, reason.slices.harmed) == ("fail", "past", "home")
    assert "'home'" in describe_reason(reason) and "rows known before" in describe_reason(reason)
    kept = dataclasses.replace(known, slices=domains)
    unharmed = finding(judge(dataclasses.replace(gained, past=kept), gates=asked), "forgetting")
    assert unharmed.finding == "pass" and "slice of the rows known before" in describe_reason(unharmed)
    assert finding(judge(gained, gates=asked), "forgetting").code == ReasonCode.NO_PAST_ROWS


def test_a_data_incident_is_invalid_not_an_update():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    q = np.clip(0.1 + 0.8 * y + 0.1 * rng.standard_normal(300), 0.01, 0.99)
    p = np.column_stack([1 - q, q])
    pair = JudgeInput("binary", "auc", PairedPredictions(y, p, p), trivial_predictions=np.full((300, 2), 0.5))
    usual, error = measure_skill(pair, p)
    assert usual > 0.8
    assert 0 < error < 0.05
    usually = dataclasses.replace(pair, usual_skill=usual)
    assert finding(judge(usually), "skill").finding == "pass"
    wrong = np.where(rng.random(300) < 0.45, 1 - y, y)
    poisoned = dataclasses.replace(usually, new=PairedPredictions(wrong, p, p))
    assert judge(poisoned).decision == "invalid"


def test_a_gain_below_the_trivial_baseline_is_said():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(600)
    known = {"trivial_predictions": np.zeros(600), "usual_skill": 0.5}
    far, near = y + 3 * rng.standard_normal(600), y + 1.2 * rng.standard_normal(600)
    verdict = judge(
        JudgeInput("regression", "r2", PairedPredictions(y, far, near), **known), policy=JudgePolicy.NO_WORSE
    )
    assert verdict.decision == "promote"
    assert any("even the challenger does worse than" in text for text in describe_reasons(verdict))
    good = JudgeInput("regression", "r2", PairedPredictions(y, near, y + 0.5 * rng.standard_normal(600)), **known)
    assert not any("even the challenger" in text for text in describe_reasons(judge(good, policy=JudgePolicy.NO_WORSE)))


def test_numbers_mixed_up_between_rows_are_told_from_drift_that_can_be_learnt():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(600)
    answers = y + 0.4 * rng.standard_normal(600)
    pair = JudgeInput("regression", "r2", PairedPredictions(y, answers, answers), trivial_predictions=np.zeros(600))
    usually = dataclasses.replace(pair, usual_skill=measure_skill(pair, answers)[0])
    hit = rng.random(600) < 0.4
    mixed = y.copy()
    mixed[hit] = rng.permutation(y[hit])
    shrunk = 0.6 * answers  # what training on such rows gives
    poisoned = dataclasses.replace(usually, new=PairedPredictions(mixed, answers, shrunk))
    assert finding(judge(poisoned), "skill").finding == "invalid"
    noise = rng.standard_normal(600)  # a part of the target that no column tells any more, and a champion that is lost
    moved = dataclasses.replace(usually, new=PairedPredictions(y + noise, -answers, 0.9 * answers))
    assert finding(judge(moved), "skill").finding == "pass"


def test_costs_and_the_goal_cheaper():
    alike, costs = counted(50, 50, 20_000), {"champion_cost": Cost(0.02, 100, 10**6)}
    cheap = dataclasses.replace(alike, **costs, challenger_cost=Cost(0.01, 100, 10**6))
    assert judge(cheap, policy="cheaper").decision == "promote"
    assert judge(alike, policy="cheaper").decision == "hold", "costs were not measured"
    same = dataclasses.replace(alike, **costs, challenger_cost=Cost(0.02, 100, 10**6))
    assert judge(same, policy="cheaper").decision == "reject"
    slow = dataclasses.replace(counted(80, 40, 1000), **costs, challenger_cost=Cost(0.05, 100, 10**6))
    assert judge(slow).decision == "promote"
    assert judge(slow, gates={"latency": {}}).decision == "reject"
    assert judge(slow, gates={"latency": {"at_most": 3}, "size": {}}).decision == "promote"


def test_further_gates():
    pair = counted(200, 150, 1000)
    assert judge(pair).decision == "promote"
    assert finding(judge(pair, gates={"negative_flips": {}}), "negative_flips").finding == "fail"
    assert judge(pair, gates={"negative_flips": {"at_most": 0.2}}).decision == "promote"
    assert judge(counted(14, 13, 200), gates={"not_worse": None}).decision == "promote"
    rng = np.random.default_rng(0)
    q = rng.random(2000)
    y = (rng.random(2000) < q).astype(int)
    sure = np.where(q > 0.5, 0.99, 0.01)
    boastful = PairedPredictions(y, np.column_stack([1 - q, q]), np.column_stack([1 - sure, sure]))
    assert GATES.load("calibration")(JudgeInput("binary", "auc", boastful)).finding == "fail"


def test_margins_have_one_unit():
    assert convert_margin("accuracy", None, 0.8) == pytest.approx(0.01)
    assert convert_margin("auc", 2.5, 0.8) == pytest.approx(0.025)
    assert convert_margin("log_loss", None, 0.5) == pytest.approx(0.01)
    assert convert_margin("r2", None, 0.7) == pytest.approx(0.006)


def test_settings_are_checked():
    pair = counted(5, 5, 100)
    with pytest.raises(BadSetting, match="policy"):
        judge(pair, policy="faster")
    with pytest.raises(BadSetting, match="confidence"):
        judge(pair, confidence=95)
    with pytest.raises(BadSetting):
        judge(pair, gates={"better": {"decay": 7}})
    with pytest.raises(NotFound):
        judge(pair, gates={"bettr": {}})


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 300), g=st.integers(2, 40), in_time=st.booleans(), seed=st.integers(0, 99))
def test_confirmation_rows_took_no_part(n, g, in_time, seed):
    groups = np.random.default_rng(seed).integers(0, g, n)
    if len(set(groups)) < 2:
        return
    choosing, confirming = split_for_confirmation(n, groups, in_time=in_time, seed=seed)
    assert sorted([*choosing, *confirming]) == list(range(n))
    assert len(choosing)
    assert len(confirming)
    assert not set(groups[choosing]) & set(groups[confirming])


def test_confirmation_judges_its_rows_alone():
    pair = counted(60, 30, 1000)
    verdict = judge(select_input_rows(pair, np.arange(60, 1000)))
    assert verdict.comparisons[0].n == 940
    assert verdict.decision == "reject"


def test_every_gate_keeps_every_promise_and_all_were_found():
    found = GATES.names()
    assert {"better", "cheaper", "not_shown_worse", "not_worse", "skill", "slices"} <= set(found)
    assert {name: check_gate(GATES.load(name)) for name in found} == dict.fromkeys(found, len(CHECKS))


def passes(gate, **more):
    return Reason(gate, Finding.PASS, "own_code", template="Fine.", **more)


def demanding(judge_input, /, *, wish):
    return passes("demanding")


def unsure(judge_input, /):
    return Reason("unsure", "maybe", "own_code", template="Who knows.")


def anonymous(judge_input, /):
    return passes("somebody")


def silent(judge_input, /):
    return Reason("silent", Finding.PASS, "own_code")


def unfinished(judge_input, /):
    return Reason("unfinished", Finding.PASS, "own_code", template="The gap is {gap:.2f}.", numbers={"gab": 0.1})


def unstorable(judge_input, /):
    return passes("unstorable", numbers={"n": np.int64(3)})


def moody(judge_input, /):
    return passes("moody", numbers={"mood": np.random.default_rng().random()})


def first_row(judge_input, /):
    finding = Finding.PASS if judge_input.new.y[0] == 0 else Finding.HOLD
    return Reason("first_row", finding, "own_code", template="The first row.")


def harsh(judge_input, /):
    return Reason("harsh", Finding.FAIL, "own_code", template="Never.")


def blind(judge_input, /):
    challenger = np.nan_to_num(judge_input.new.challenger)
    c = compare_predictions(judge_input.metric, dataclasses.replace(judge_input.new, challenger=challenger))
    return passes("blind", comparison=c)


def eager(judge_input, /):
    return passes("eager", rows_needed=100)


def writes(judge_input, /):
    judge_input.new.challenger[0] = judge_input.new.champion[0] + 0.001
    return passes("writes")


BROKEN = {
    check_settings_have_defaults: demanding,
    check_reason_names_gate_and_finding: anonymous,
    check_reason_has_a_text: silent,
    check_reason_can_be_stored: unstorable,
    check_same_rows_same_reason: moody,
    check_row_order_does_not_matter: first_row,
    check_a_model_is_not_harmed_by_itself: harsh,
    check_nan_is_never_scored: blind,
    check_rows_needed_only_with_hold: eager,
    check_inputs_are_not_changed: writes,
}


def test_there_is_a_broken_gate_for_each_check():
    assert set(BROKEN) == set(CHECKS)


@pytest.mark.parametrize(("check", "gate"), BROKEN.items(), ids=lambda f: f.__name__)
def test_each_check_catches_the_gate_that_breaks_it_and_no_other_check_does(check, gate):
    with pytest.raises(AssertionError):
        check(gate)
    with pytest.raises(AssertionError, match=re.escape(check.__doc__.split(":")[0])):
        check_gate(gate)
    if gate not in (demanding, moody):  # the one cannot be called; the other differs from itself in each comparison
        for other in set(CHECKS) - {check}:
            other(gate)


def test_an_unknown_finding_and_an_unfilled_template_are_caught():
    with pytest.raises(AssertionError, match="maybe"):
        check_gate(unsure)
    with pytest.raises(AssertionError, match="not given"):
        check_gate(unfinished)


def test_a_template_from_outside_is_filled_and_nothing_else():
    reason = passes("own", numbers={"gap": 0.1234, "n": 1200})
    text = dataclasses.replace(reason, template="Gap {gap:.2f} of {n:,}; {gap.real} {other} {gap:>999999999}")
    assert describe_reason(text) == "Gap 0.12 of 1,200; {gap.real} {other} {gap:>999999999}"


def test_every_reason_code_has_a_text():
    c = compare_predictions("accuracy", counted(40, 20, 1000).new)
    cost = CostChange(Cost(0.02, 100, 10**6), Cost(0.01, 100, 10**6), 0.05)
    for code in ReasonCode:
        reason = Reason(
            "g", Finding.PASS, code, c, margin=0.01, past=c, past_margin=0.03, pooled=c, cost=cost, message="No."
        )
        text = describe_reason(reason)
        assert text[:1].isupper() or text[:1].isdigit(), text
        assert text.endswith("."), text
        assert "nan" not in text


def test_the_words_are_plain_sentences():
    c = compare_predictions("accuracy", counted(40, 20, 1000).new)
    reason = Reason("better", Finding.PASS, ReasonCode.GAIN_SHOWN, c)
    assert describe_reason(reason) == (
        "The challenger is better beyond doubt: on the new rows accuracy rose by 0.02, from 0.96 to 0.98 "
        "(95 % interval +0.004718 to +0.03628; 1,000 rows, McNemar)."
    )


def test_the_worst_finding_decides():
    reasons = tuple(Reason("g", f, "own_code", rows_needed=9 if f is Finding.HOLD else None) for f in Finding)
    assert [combine_reasons(reasons[:i]).decision for i in (1, 2, 3, 4)] == ["promote", "hold", "reject", "invalid"]
    assert combine_reasons(reasons[:2]).rows_needed == 9
    assert combine_reasons(reasons[:3]).rows_needed is None


def test_a_verdict_is_stored_and_read_back_as_it_was():
    n = 2000
    slices = {"even": np.arange(n) % 2 == 0}
    pair = counted(100, 60, n, champion_cost=Cost(0.02, 100, 10**6), challenger_cost=Cost(0.01, 100, 10**6))
    pair = dataclasses.replace(pair, new=dataclasses.replace(pair.new, slices=slices), past=counted(40, 41, n).new)
    verdict = judge(pair, gates={"negative_flips": {}, "cheaper": {}, "latency": {}, "size": {}, "calibration": {}})
    kind = RecordKind("verdict", Verdict)
    stored = decode(kind, encode(kind, verdict))
    assert [describe_reason(r) for r in stored.reasons] == [describe_reason(r) for r in verdict.reasons]
    assert (stored.decision, stored.rows_needed) == (verdict.decision, verdict.rows_needed)
    assert repr(stored.comparisons) == repr(verdict.comparisons)


def test_a_gate_that_was_named_and_had_nothing_to_test_says_so():
    untested = Reason("forgetting", Finding.PASS, ReasonCode.NO_PAST_ROWS)
    usual = Reason("retention", Finding.PASS, ReasonCode.NO_PAST_ROWS)
    told = describe_reasons(combine_reasons((usual, untested)))
    assert told == ("There are no rows known before that could show what is forgotten.",)
