"""A held challenger stands again with the next rows; several ways are chosen among, and the winner is confirmed."""

from __future__ import annotations

import json

import numpy as np
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.loop.home import open_home
from tests.loop.conftest import rows


@pytest.fixture
def held(adopted):
    """A home whose last update held a challenger: a real gain, too few rows to show that it is no loss."""
    done = evermodel.update("m", rows(260, 3, angle=0.35), with_="refit", home=adopted)
    assert done.decision == "hold", done
    return adopted


def test_a_held_challenger_is_judged_again_on_the_rows_of_both_updates(held):
    held_event = open_home(held).log("m")[-1]
    done = evermodel.update("m", rows(3000, 4, angle=0.35), with_="none", home=held)
    again = done.second_look
    assert (again.version, again.change) == ("v2", "refit")
    assert again.scores["new"]["auc"].n == 78 + 3000  # the newest 30 % of 260, then every new row
    assert held_event.facts["again"]["champion"] == "v1"
    assert again.decision == "promote"
    assert again.promoted
    assert (done.decision, done.change, done.champion, done.finished) == ("promote", "refit", "v1", True)
    assert done.in_service == done.challenger == "v3"  # finished on the new rows
    assert open_home(held).log("m")[-1].facts["second_look"]["version"] == "v2"
    assert json.loads(done.to_json())["second_look"]["decision"] == "promote"
    assert "held before" in str(done)


def test_without_finishing_the_held_version_itself_goes_into_service(held):
    done = evermodel.update("m", rows(3000, 4, angle=0.35), with_="none", finish=False, home=held)
    assert done.in_service == done.challenger == "v2"
    assert [c.version for c in open_home(held).cards("m")] == ["v1", "v2"]


def test_there_is_no_third_look(held):
    first = evermodel.update("m", rows(200, 5), with_="none", home=held)
    assert (first.second_look.version, first.second_look.decision) == ("v2", "hold")
    second = evermodel.update("m", rows(200, 6), with_="none", home=held)
    assert second.second_look.version == first.challenger == "v3"


def test_there_is_no_second_look_against_another_champion(held):
    evermodel.promote("m", "v2", home=held)
    assert evermodel.update("m", rows(300, 8), with_="none", home=held).second_look is None


def test_a_dry_run_spends_no_look(held):
    new = rows(3000, 4, angle=0.35)
    for _ in range(2):
        assert evermodel.update("m", new, with_="none", dry_run=True, home=held).second_look.promoted
    assert open_home(held).at("m", "champion") == "v1"


def test_rows_that_judged_first_are_not_counted_as_evidence_of_another_update(held, monkeypatch):
    from evermodel.core import judging

    seen = []
    real = judging.judge
    monkeypatch.setattr("evermodel.loop.second_look.judge", lambda pair, **k: seen.append(pair) or real(pair, **k))
    evermodel.update("m", rows(500, 4, angle=0.35), with_="none", home=held)
    assert (seen[0].look, seen[0].looks, seen[0].earlier) == (2, 2, ())


def test_several_ways_are_all_made_and_the_best_is_confirmed_on_other_rows(adopted):
    done = evermodel.update("m", rows(2000, 3, angle=1.2), with_="leaf_refit,refit", home=adopted)
    scored = {c.change: c for c in done.candidates}
    assert {"none", "recalibrate", "last value seen", "leaf_refit", "refit"} == set(scored)
    best = max(("leaf_refit", "refit"), key=lambda way: scored[way].score)
    assert scored[best].chosen
    assert done.change == best
    assert [c.chosen for c in done.candidates].count(True) == 1
    assert done.scores["new"]["auc"].n == 300  # half of the 600 judged rows chose, the newer half judges
    logged = open_home(adopted).log("m")[-1].facts["candidates"]
    assert [c["change"] for c in logged] == [c.change for c in done.candidates]
    assert all(np.isfinite(c["score"]) for c in logged)


def test_auto_logs_what_every_candidate_would_have_scored(adopted):
    evermodel.update("m", rows(1500, 3), home=adopted)
    logged = {c["change"]: c["score"] for c in open_home(adopted).log("m")[-1].facts["candidates"]}
    assert list(logged) == ["none", "recalibrate", "last value seen", "refit"]  # the first update of a booster
    assert all(np.isfinite(v) for v in logged.values())


def test_settings_of_several_ways(adopted):
    done = evermodel.update(
        "m", rows(900, 3), with_="refit,leaf_refit", settings={"leaf_refit.decay": "0.5"}, dry_run=True, home=adopted
    )
    assert [c.settings for c in done.candidates if c.change in ("refit", "leaf_refit")] == [{}, {"decay": 0.5}]
    with pytest.raises(BadSetting, match="has a setting 'depth'"):
        evermodel.update("m", rows(900, 3), with_="refit,leaf_refit", settings={"depth": 3}, home=adopted)
    with pytest.raises(AskedWrongly, match="once"):
        evermodel.update("m", rows(900, 3), with_="refit,refit", home=adopted)
