"""Adopting without rows: the model waits, and its first update completes the adoption."""

from __future__ import annotations

import json

import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting, NoData, NotFound
from evermodel.loop.home import open_home
from tests.loop.conftest import rows


@pytest.fixture
def waiting(booster, tmp_path):
    home = tmp_path / "home"
    kept = evermodel.adopt(booster, target="y", time="when", name="m", home=home)
    assert (kept.version, kept.framework, kept.target, kept.inputs) == ("v1", "lightgbm", "y", (3,))
    assert kept.parity == 0.0
    assert any("exact scaler" in note for note in kept.notes)
    json.loads(kept.to_json())
    return home


def test_it_is_shown_by_list_show_and_log(waiting):
    assert evermodel.models(home=waiting).rows[0]["serving"] == "waits for rows"
    assert [r["version"] for r in evermodel.show("m", home=waiting).rows] == ["v1"]
    assert {r["what"]: r["value"] for r in evermodel.show("m", "v1", home=waiting).rows}["change"] == "wait"
    assert [(r["what"], r["version"]) for r in evermodel.log("m", home=waiting).rows] == [("waits", "v1")]


def test_it_cannot_be_used_yet(waiting, tmp_path):
    with pytest.raises(AskedWrongly, match="waits for its first labelled rows"):
        evermodel.predict("m", rows(20, 4), to=tmp_path / "p.csv", home=waiting)
    with pytest.raises(AskedWrongly, match="waits"):
        evermodel.evaluate("m", rows(20, 4), home=waiting)
    with pytest.raises(AskedWrongly, match="waits"):
        evermodel.rollback("m", home=waiting)


def test_the_first_update_completes_it_with_its_oldest_rows(waiting):
    done = evermodel.update("m", rows(3000, 3, angle=1.0), home=waiting)
    store = open_home(waiting)
    assert [c.change for c in store.cards("m")][:2] == ["wait", "adopt"]
    assert (done.champion, done.challenger) == ("v2", "v3")
    assert done.data["rows"] + 1200 == 3000
    assert store.card("m", "v2").facts["stands_in"]
    assert [e.kind for e in store.log("m")][:2] == ["waits", "adopted"]
    assert evermodel.models(home=waiting).rows == [
        {**evermodel.models(home=waiting).rows[0], "name": "m", "serving": done.in_service}
    ]
    again = evermodel.update("m", rows(800, 4, angle=1.0), home=waiting)
    assert again.champion == done.in_service


def test_a_dry_run_leaves_it_waiting(waiting):
    done = evermodel.update("m", rows(3000, 3, angle=1.0), dry_run=True, home=waiting)
    assert done.decision == "promote"
    store = open_home(waiting)
    assert (store.models(), len(store.cards("m")), len(store.log("m"))) == ([], 1, 1)


def test_a_dry_run_with_a_file_adopts_nothing(booster, tmp_path):
    home = tmp_path / "home"
    evermodel.update(booster, rows(3000, 3, angle=1.0), target="y", time="when", dry_run=True, home=home)
    assert open_home(home).models() == []


def test_too_few_rows_leave_it_waiting(waiting):
    with pytest.raises(NoData, match="too few"):
        evermodel.update("m", rows(60, 3), home=waiting)
    assert open_home(waiting).models() == []


def test_what_was_asked_is_kept(booster, tmp_path):
    home = tmp_path / "home"
    evermodel.adopt(
        booster, target="y", name="m", drop=["when"], slices=["kind"], shuffled=True, task="binary", home=home
    )
    done = evermodel.update("m", rows(3000, 3, angle=1.0), home=home)
    card = open_home(home).card("m", done.champion)
    assert card.facts["shuffled"] is True
    assert not any(c.change == "last value seen" for c in done.candidates)


def test_wrong_requests_keep_nothing(booster, tmp_path):
    home = tmp_path / "home"
    with pytest.raises(BadSetting, match="takes 3 numbers"):
        evermodel.adopt(booster, target="y", name="m", inputs=list("abcd"), home=home)
    with pytest.raises(BadSetting, match="--task"):
        evermodel.adopt(booster, target="y", name="m", task="ranking", home=home)
    with pytest.raises(NotFound, match="transform"):
        evermodel.adopt(booster, target="y", name="m", transform=tmp_path / "none.json", home=home)
    assert evermodel.models(home=home).rows == []


def test_a_name_waits_once(waiting, booster):
    with pytest.raises(AskedWrongly, match="already"):
        evermodel.adopt(booster, target="y", name="m", home=waiting)
    evermodel.adopt(booster, data=rows(2000, 2), target="y", time="when", name="m", home=waiting)
    assert evermodel.models(home=waiting).rows[0]["serving"] == "v2"


def test_a_wrong_suffix_is_refused_before_anything_is_adopted(booster, waiting, tmp_path):
    home = tmp_path / "other"
    with pytest.raises(BadSetting, match="must end in"):
        evermodel.update(booster, rows(3000, 3), target="y", to=tmp_path / "x.h5", home=home)
    assert open_home(home).models() == []
    with pytest.raises(BadSetting, match="must end in"):
        evermodel.update("m", rows(3000, 3), to=tmp_path / "x.h5", home=waiting)
    assert open_home(waiting).models() == []
