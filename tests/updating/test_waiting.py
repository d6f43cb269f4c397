"""Adopting without rows: the model waits, and its first update completes the adoption."""

from __future__ import annotations

import json

import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting, NoData, NotFound
from evermodel.registry.lookup import open_store
from tests.updating.conftest import rows


@pytest.fixture
def waiting(booster, tmp_path):
    registry = tmp_path / "registry"
    kept = evermodel.adopt(booster, target="y", time="when", name="m", registry=registry)
    assert (kept.version, kept.framework, kept.target, kept.inputs) == ("v1", "lightgbm", "y", (3,))
    assert kept.parity == 0.0
    assert any("exact scaler" in note for note in kept.notes)
    json.loads(kept.to_json())
    return registry


def test_it_is_shown_by_list_show_and_log(waiting):
    assert evermodel.models(registry=waiting).rows[0]["serving"] == "waits for rows"
    assert [r["version"] for r in evermodel.show("m", registry=waiting).rows] == ["v1"]
    assert {r["what"]: r["value"] for r in evermodel.show("m", "v1", registry=waiting).rows}["strategy"] == "wait"
    assert [(r["what"], r["version"]) for r in evermodel.log("m", registry=waiting).rows] == [
        ("adoption pending", "v1")
    ]


def test_it_cannot_be_used_yet(waiting, tmp_path):
    with pytest.raises(AskedWrongly, match="waits for its first labelled rows"):
        evermodel.predict_file("m", rows(20, 4), to=tmp_path / "p.csv", registry=waiting)
    with pytest.raises(AskedWrongly, match="waits"):
        evermodel.evaluate("m", rows(20, 4), registry=waiting)
    with pytest.raises(AskedWrongly, match="waits"):
        evermodel.rollback("m", registry=waiting)


def test_the_first_update_completes_it_with_its_oldest_rows(waiting):
    done = evermodel.update("m", rows(3000, 3, angle=1.0), registry=waiting)
    store = open_store(waiting)
    assert [c.strategy for c in store.list_cards("m")][:2] == ["wait", "adopt"]
    assert (done.champion, done.challenger) == ("v2", "v3")
    assert done.data.rows + 1200 == 3000
    assert store.read_card("m", "v2").reference_is_stand_in
    assert [e.kind for e in store.read_events("m")][:2] == ["adoption pending", "adopted"]
    assert evermodel.models(registry=waiting).rows == [
        {**evermodel.models(registry=waiting).rows[0], "name": "m", "serving": done.in_service}
    ]
    again = evermodel.update("m", rows(800, 4, angle=1.0), registry=waiting)
    assert again.champion == done.in_service


def test_a_dry_run_leaves_it_waiting(waiting):
    done = evermodel.update("m", rows(3000, 3, angle=1.0), dry_run=True, registry=waiting)
    assert done.decision == "promote"
    store = open_store(waiting)
    assert (store.list_models(), len(store.list_cards("m")), len(store.read_events("m"))) == ([], 1, 1)


def test_too_few_rows_leave_it_waiting(waiting):
    with pytest.raises(NoData, match="too few"):
        evermodel.update("m", rows(60, 3), registry=waiting)
    assert open_store(waiting).list_models() == []


def test_what_was_asked_is_kept(booster, tmp_path):
    registry = tmp_path / "registry"
    evermodel.adopt(
        booster, target="y", name="m", drop=["when"], slices=["kind"], shuffled=True, task="binary", registry=registry
    )
    done = evermodel.update("m", rows(3000, 3, angle=1.0), registry=registry)
    card = open_store(registry).read_card("m", done.champion)
    assert card.shuffled is True
    assert not any(c.strategy == "last value seen" for c in done.candidates)


def test_wrong_requests_keep_nothing(booster, tmp_path):
    registry = tmp_path / "registry"
    with pytest.raises(BadSetting, match="takes 3 numbers"):
        evermodel.adopt(booster, target="y", name="m", inputs=list("abcd"), registry=registry)
    with pytest.raises(BadSetting, match="`task` must be"):
        evermodel.adopt(booster, target="y", name="m", task="ranking", registry=registry)
    with pytest.raises(NotFound, match="transform"):
        evermodel.adopt(booster, target="y", name="m", transform=tmp_path / "none.json", registry=registry)
    assert evermodel.models(registry=registry).rows == []


def test_a_name_waits_once(waiting, booster):
    with pytest.raises(AskedWrongly, match="already"):
        evermodel.adopt(booster, target="y", name="m", registry=waiting)
    evermodel.adopt(booster, data=rows(2000, 2), target="y", time="when", name="m", registry=waiting)
    assert evermodel.models(registry=waiting).rows[0]["serving"] == "v2"


def test_a_wrong_suffix_is_refused_before_anything_is_adopted(waiting, tmp_path):
    with pytest.raises(BadSetting, match="must end in"):
        evermodel.update("m", rows(3000, 3), to=tmp_path / "x.h5", registry=waiting)
    assert open_store(waiting).list_models() == []
