"""The verdict and the gates, on rows whose truth is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core import plugs
from evermodel.core.comparing import compare, margin_in_units
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.judgement import Cost, PairedRows, PairedScores, Reason
from evermodel.core.judging import confirm, judge, level, skill, split_for_confirmation, verdict_of
from evermodel.laws.gates import LAWS, check_gate

EYE = np.eye(2)


def counted(won, lost, n, **more):
    """n rows of which the challenger alone has ``won`` right, the champion alone ``lost``."""
    champion, challenger = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
    champion[:won] = challenger[won : won + lost] = 1
    return PairedScores(
        "binary", "accuracy", PairedRows(np.zeros(n, dtype=int), EYE[champion], EYE[challenger]), **more
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
    assert f"{verdict.rows_needed:,}" in " ".join(r.text for r in verdict.reasons)


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
    empty = PairedRows(np.zeros(0, dtype=int), EYE[:0], EYE[:0])
    assert judge(dataclasses.replace(pair, new=empty)).decision == "invalid"


def test_past_rows():
    good = counted(60, 30, 1000)
    assert judge(dataclasses.replace(good, past=counted(30, 32, 2000).new)).decision == "promote"
    # shown worse by more than three margins on the past, and the gain now is smaller than that
    assert judge(dataclasses.replace(good, past=counted(20, 180, 2000).new)).decision == "reject"
    # the world moved: the gain now is beyond doubt and larger
    moved = dataclasses.replace(counted(300, 100, 1000), past=counted(20, 180, 2000).new)
    assert judge(moved).decision == "promote"
    assert "world moved" in finding(judge(moved), "not_worse").text
    assert judge(dataclasses.replace(good, past=counted(20, 180, 2000).new), past_margin=12).decision == "promote"


def test_pooled_evidence_lends_gain_but_never_innocence():
    history = tuple(compare("accuracy", counted(90, 10, 1000).new, confidence=0.9) for _ in range(6))
    assert judge(counted(40, 41, 3000, earlier=history)).decision == "promote", "alike now, better all along"
    assert judge(counted(14, 14, 200, earlier=history)).decision == "hold", "harm now is not refuted by former merit"
    assert judge(counted(40, 80, 1000, earlier=history)).decision == "reject"
    lent = {"not_worse": {"lend": 0.3}}
    assert judge(counted(16, 15, 150, earlier=history), gates=lent).decision == "hold"
    assert judge(counted(18, 14, 300, earlier=history), gates=lent).decision == "promote"


def test_two_looks_share_one_error():
    assert level(0.95, 1, 1) == pytest.approx(0.95)
    assert level(0.95, 1, 2) > 0.95
    with pytest.raises(BadSetting, match="looks"):
        level(0.95, 3, 3)
    edge = counted(55, 47, 1000)
    assert judge(edge).decision == "promote"
    assert judge(dataclasses.replace(edge, looks=2)).decision == "hold"


def test_slices():
    n = 2000
    pair = counted(100, 60, n)
    slices = {"even": np.arange(n) % 2 == 0, "broken": np.arange(n) // 100 == 3, "small": np.arange(n) < 5}
    challenger = pair.new.challenger.copy()
    challenger[slices["broken"]] = EYE[(np.arange(100) % 5 == 0).astype(int)]
    harmed = dataclasses.replace(pair, new=dataclasses.replace(pair.new, challenger=challenger, slices=slices))
    reason = finding(judge(harmed), "slices")
    assert reason.finding == "fail"
    assert "'broken'" in reason.text
    whole = dataclasses.replace(pair, new=dataclasses.replace(pair.new, slices=slices))
    assert finding(judge(whole), "slices").finding == "pass"


def test_a_data_incident_is_invalid_not_an_update():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    q = np.clip(0.1 + 0.8 * y + 0.1 * rng.standard_normal(300), 0.01, 0.99)
    p = np.column_stack([1 - q, q])
    pair = PairedScores("binary", "auc", PairedRows(y, p, p), trivial=np.full((300, 2), 0.5))
    usual, error = skill(pair, p)
    assert usual > 0.8
    assert 0 < error < 0.05
    usually = dataclasses.replace(pair, usual_skill=usual)
    assert finding(judge(usually), "skill").finding == "pass"
    wrong = np.where(rng.random(300) < 0.45, 1 - y, y)
    poisoned = dataclasses.replace(usually, new=PairedRows(wrong, p, p))
    assert judge(poisoned).decision == "invalid"


def test_costs_and_the_goal_cheaper():
    alike, costs = counted(50, 50, 20_000), {"champion_cost": Cost(0.02, 100, 10**6)}
    cheap = dataclasses.replace(alike, **costs, challenger_cost=Cost(0.01, 100, 10**6))
    assert judge(cheap, goal="not_worse_and_cheaper").decision == "promote"
    assert judge(alike, goal="not_worse_and_cheaper").decision == "hold", "costs were not measured"
    same = dataclasses.replace(alike, **costs, challenger_cost=Cost(0.02, 100, 10**6))
    assert judge(same, goal="not_worse_and_cheaper").decision == "reject"
    slow = dataclasses.replace(counted(80, 40, 1000), **costs, challenger_cost=Cost(0.05, 100, 10**6))
    assert judge(slow).decision == "promote"
    assert judge(slow, gates={"latency": {}}).decision == "reject"
    assert judge(slow, gates={"latency": {"at_most": 3}, "size": {}}).decision == "promote"


def test_further_gates():
    pair = counted(200, 150, 1000)
    assert judge(pair).decision == "promote"
    assert finding(judge(pair, gates={"flips": {}}), "flips").finding == "fail"
    assert judge(pair, gates={"flips": {"at_most": 0.2}}).decision == "promote"
    assert judge(counted(14, 13, 200), gates={"not_worse": None}).decision == "promote"
    rng = np.random.default_rng(0)
    q = rng.random(2000)
    y = (rng.random(2000) < q).astype(int)
    sure = np.where(q > 0.5, 0.99, 0.01)
    boastful = PairedRows(y, np.column_stack([1 - q, q]), np.column_stack([1 - sure, sure]))
    assert plugs.function("gates", "calibration")(PairedScores("binary", "auc", boastful)).finding == "fail"


def test_margins_have_one_unit():
    assert margin_in_units("accuracy", None, 0.8) == pytest.approx(0.01)
    assert margin_in_units("auc", 2.5, 0.8) == pytest.approx(0.025)
    assert margin_in_units("log_loss", None, 0.5) == pytest.approx(0.01)
    assert margin_in_units("r2", None, 0.7) == pytest.approx(0.006)


def test_settings_are_checked():
    pair = counted(5, 5, 100)
    with pytest.raises(BadSetting, match="goal"):
        judge(pair, goal="faster")
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
    verdict = confirm(pair, np.arange(60, 1000))
    assert verdict.comparisons[0].n == 940
    assert verdict.decision == "reject"


def test_every_gate_obeys_the_laws_and_all_were_found():
    assert [check_gate(plugs.function("gates", name)) for name in plugs.names("gates")] == [len(LAWS)] * 10


def unknown(pair, /):
    return Reason("unknown", "maybe", "Who knows.")


def shrugs(pair, /):
    return Reason("somebody", "pass", "")


def moody(pair, /):
    return Reason("moody", "pass", f"I feel {np.random.default_rng().random()} today.")


def first_row(pair, /):
    return Reason("first_row", "pass" if pair.new.y[0] == 0 else "hold", "The first row.")


def harsh(pair, /):
    return Reason("harsh", "fail", "Never.")


def blind(pair, /):
    c = compare(pair.metric, dataclasses.replace(pair.new, challenger=np.nan_to_num(pair.new.challenger)))
    return Reason("blind", "pass", "Looks fine.", c)


def eager(pair, /):
    return Reason("eager", "pass", "Fine.", None, 100)


def demanding(pair, /, *, wish):
    return Reason("demanding", "pass", "Fine.")


def writes(pair, /):
    pair.new.challenger[0] = pair.new.champion[0] + 0.001
    return Reason("writes", "pass", "Fine.")


@pytest.mark.parametrize(
    ("gate", "law"),
    [
        (unknown, "finding"), (shrugs, "finding"), (moody, "same reason"), (first_row, "Permuting"),
        (harsh, "own challenger"),
        (blind, "NaN"), (eager, "Rows needed"), (writes, "written"),
    ],
)  # fmt: skip
def test_each_law_catches_a_broken_gate(gate, law):
    with pytest.raises(AssertionError, match=law):
        check_gate(gate)


def test_a_setting_without_default_is_caught():
    with pytest.raises((AssertionError, TypeError)):
        check_gate(demanding)


def test_the_worst_finding_decides():
    reasons = tuple(
        Reason("g", f, "x", rows_needed=9 if f == "hold" else None) for f in ("pass", "hold", "fail", "invalid")
    )
    assert [verdict_of(reasons[:i]).decision for i in (1, 2, 3, 4)] == ["promote", "hold", "reject", "invalid"]
    assert verdict_of(reasons[:2]).rows_needed == 9
    assert verdict_of(reasons[:3]).rows_needed is None
