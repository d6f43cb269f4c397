"""A held challenger stands again with the next rows; several ways are chosen among, and the winner is confirmed."""

from __future__ import annotations

import json

import numpy as np
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.core.records.event import (
    Actor,
    AlarmClosed,
    ChampionMoved,
    Decided,
    Event,
    EventKind,
    HeldEvidence,
    Notified,
    RowsDeleted,
)
from evermodel.registry.lookup import open_store
from evermodel.updating.verdicts import reanalysis
from tests.updating.conftest import rows


@pytest.fixture
def held(adopted):
    """A registry whose last update held a challenger: a real gain, too few rows to show that it is no loss."""
    done = evermodel.update("m", rows(260, 3, angle=0.35), strategy="refit", metric="auc", registry=adopted)
    assert done.decision == "hold", done
    return adopted


def test_a_held_challenger_is_judged_again_on_the_rows_of_both_updates(held):
    held_event = open_store(held).read_events("m")[-1]
    done = evermodel.update("m", rows(3000, 4, angle=0.35), strategy="none", registry=held)
    again = done.rejudged
    assert (again.version, again.strategy) == ("v2", "refit")
    assert again.scores["new"]["auc"].n == 78 + 3000  # the newest 30 % of 260, then every new row
    assert held_event.data.champion == "v1" and held_event.data.held is not None
    assert again.decision == "promote"
    assert again.promoted
    assert (done.decision, done.strategy, done.champion, done.refit) == ("promote", "refit", "v1", True)
    assert done.in_service == done.challenger == "v3"  # finished on the new rows
    assert open_store(held).read_card("m", "v3").update.rejudged.version == "v2"
    assert json.loads(done.to_json())["rejudged"]["decision"] == "promote"
    assert "held before" in str(done)


def test_without_finishing_the_held_version_itself_goes_into_service(held):
    done = evermodel.update("m", rows(3000, 4, angle=0.35), strategy="none", refit=False, registry=held)
    assert done.in_service == done.challenger == "v2"
    assert [c.version for c in open_store(held).list_cards("m")] == ["v1", "v2"]


def test_there_is_no_third_look(held):
    first = evermodel.update("m", rows(200, 5), strategy="none", registry=held)
    assert (first.rejudged.version, first.rejudged.decision) == ("v2", "hold")
    second = evermodel.update("m", rows(200, 6), strategy="none", registry=held)
    assert second.rejudged.version == first.challenger == "v3"


def test_there_is_no_second_look_against_another_champion(held):
    evermodel.promote("m", "v2", registry=held)
    assert evermodel.update("m", rows(300, 8), strategy="none", registry=held).rejudged is None


def test_a_dry_run_spends_no_look(held):
    new = rows(3000, 4, angle=0.35)
    for _ in range(2):
        assert evermodel.update("m", new, strategy="none", dry_run=True, registry=held).rejudged.promoted
    assert open_store(held).resolve_alias("m", "champion") == "v1"


def test_rows_that_judged_first_are_not_counted_as_evidence_of_another_update(held, monkeypatch):
    from evermodel.judging.judge_request import JudgeTerms

    seen = []
    real = JudgeTerms.judge
    monkeypatch.setattr(JudgeTerms, "judge", lambda terms, pair, **more: seen.append(pair) or real(terms, pair, **more))
    evermodel.update("m", rows(500, 4, angle=0.35), strategy="none", registry=held)
    assert (seen[0].analysis, seen[0].n_analyses, seen[0].earlier_updates) == (2, 2, ())


def test_several_ways_are_all_made_and_the_best_is_confirmed_on_other_rows(adopted):
    done = evermodel.update("m", rows(2000, 3, angle=1.2), strategy="leaf_refit,refit", registry=adopted)
    scored = {c.strategy: c for c in done.candidates}
    assert {"none", "recalibrate", "last value seen", "leaf_refit", "refit"} == set(scored)
    best = max(("leaf_refit", "refit"), key=lambda way: scored[way].score)
    assert scored[best].chosen
    assert done.strategy == best
    assert [c.chosen for c in done.candidates].count(True) == 1
    assert done.scores["new"]["auc"].n == 300  # half of the 600 judged rows chose, the newer half judges
    recorded = open_store(adopted).read_card("m", done.challenger).update.candidates
    assert recorded == done.candidates
    assert all(np.isfinite(c.score) for c in recorded)


def test_auto_logs_what_every_candidate_would_have_scored(adopted):
    done = evermodel.update("m", rows(1500, 3), registry=adopted)
    recorded = open_store(adopted).read_card("m", done.challenger).update.candidates
    scores = {c.strategy: c.score for c in recorded}
    assert list(scores) == ["none", "recalibrate", "last value seen", "refit"]  # the first update of a booster
    assert all(np.isfinite(v) for v in scores.values())


def test_settings_of_several_ways(adopted):
    done = evermodel.update(
        "m",
        rows(900, 3),
        strategy="refit,leaf_refit",
        settings={"leaf_refit.decay": "0.5"},
        dry_run=True,
        registry=adopted,
    )
    assert [c.settings for c in done.candidates if c.strategy in ("refit", "leaf_refit")] == [{}, {"decay": 0.5}]
    with pytest.raises(BadSetting, match="has a setting 'depth'"):
        evermodel.update("m", rows(900, 3), strategy="refit,leaf_refit", settings={"depth": 3}, registry=adopted)
    with pytest.raises(AskedWrongly, match="once"):
        evermodel.update("m", rows(900, 3), strategy="refit,refit", registry=adopted)


@pytest.mark.parametrize(
    ("kind", "data", "waits"),
    [
        (EventKind.ALARM_CLOSED, AlarmClosed("drift", "a"), True),
        (EventKind.NOTIFIED, Notified("k", "warning", "drift"), True),
        (EventKind.ROWS_DELETED, RowsDeleted("customer"), True),
        (EventKind.QUARANTINED, Decided("v3", "v1"), True),
        (EventKind.REJECTED, Decided("v3", "v1"), False),
        (EventKind.PROMOTED_BY_HAND, ChampionMoved("v2", "v1", Actor.HAND), False),
        (EventKind.DECLINED, ChampionMoved("v2", "v1", Actor.HAND), False),
    ],
    ids=lambda value: str(value) if isinstance(value, EventKind) else "",
)
def test_only_a_decision_ends_the_wait_of_a_held_challenger(kind, data, waits):
    held = Decided("v2", "v1", held=HeldEvidence("0" * 64, "log_loss"))
    log = [Event("m", EventKind.HELD, "now", held), Event("m", kind, "now", data)]
    assert (reanalysis._find_held(log, "v1") is held) is waits
