"""Two monitors add up to one that saw all rows; old windows are merged and nothing is lost of the counts."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evermodel
from evermodel.core.errors import AskedWrongly, NotFound
from evermodel.core.stats.reference_bins import build_references, count_column
from evermodel.monitoring import monitor_state as ws
from evermodel.monitoring.alarms.sequential_alarms import compute_evidence
from evermodel.monitoring.alarms.subjects import learn_baselines, list_subjects
from evermodel.monitoring.merge import MOST_WINDOWS, compact_windows, merge_states
from tests.updating.conftest import booster, rows  # noqa: F401

REFERENCE = build_references(pl.DataFrame({"x": np.random.default_rng(0).standard_normal(1500)}), ["x"])


def looks_of(rng, at, wrong, days):
    found = {}
    for day in np.unique(days):
        here = days == day
        n = int(here.sum())
        found[f"t{day:04d}"] = ws.WindowCounts(
            f"t{day:04d}",
            f"{day}",
            f"{day + 1}",
            n,
            n,
            int(wrong[here].sum()),
            0,
            {"x": count_column(pl.Series("x", at[here]), REFERENCE["x"])},
            {"0": n},
        )
    return found


def state_of(windows, batch):
    watched = ws.VersionMonitor("v1", REFERENCE, windows=windows)
    counters = {"predictions": sum(k.rows for k in windows.values())}
    return ws.MonitorState(
        "m", "binary", "86400s", version="v1", batches={batch: "rows"}, watched={"v1": watched}, counters=counters
    )


def evidence(state):
    watched = state.watched["v1"]
    windows = [watched.windows[k] for k in sorted(watched.windows)]
    mature = {k.key for k in windows}
    watched = learn_baselines(watched, windows, mature, "binary")
    return {s.key: compute_evidence(s, s.windows) for s in list_subjects(watched, windows, mature)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1200, 4000), days=st.integers(2, 12), third=st.booleans())
def test_monitors_of_two_sites_say_what_one_would_have_said(seed, n, days, third):
    rng = np.random.default_rng(seed)
    at, wrong, day = rng.standard_normal(n), rng.random(n) < 0.2, rng.integers(0, days, n)
    site = rng.integers(0, 3 if third else 2, n)
    whole = state_of(looks_of(rng, at, wrong, day), "all")
    sites = [state_of(looks_of(rng, at[site == s], wrong[site == s], day[site == s]), f"s{s}") for s in np.unique(site)]
    one = other = sites[0]
    for more in sites[1:]:
        one, other = merge_states(one, more), merge_states(more, other)
    for state in (one, other):
        assert state.counters == whole.counters
        assert {k: v.rows for k, v in state.watched["v1"].windows.items()} == {
            k: v.rows for k, v in whole.watched["v1"].windows.items()
        }
        assert evidence(state) == pytest.approx(evidence(whole))
        assert ws.to_bytes(ws.from_bytes(ws.to_bytes(state))) == ws.to_bytes(state)


def test_what_does_not_add_up_is_refused():
    rng = np.random.default_rng(0)
    a = state_of(looks_of(rng, rng.standard_normal(100), rng.random(100) < 0.2, np.zeros(100, dtype=int)), "a")
    for b, words in (
        (a, "count twice"),
        (dataclasses.replace(a, batches={"b": "rows"}, window="3600s"), "window"),
        (dataclasses.replace(a, batches={"b": "rows"}, watched={"v1": ws.VersionMonitor("v1", {})}), "reference"),
    ):
        with pytest.raises(AskedWrongly, match=words):
            merge_states(a, b)
    by_rows = [dataclasses.replace(a, window="1000rows", batches={k: "rows"}) for k in "ab"]
    with pytest.raises(AskedWrongly, match="by time"):
        merge_states(*by_rows)


def test_old_looks_become_fewer_and_all_rows_stay():
    rng, n = np.random.default_rng(1), 100 * (MOST_WINDOWS + 301)
    day = np.arange(n) // 100
    watched = state_of(looks_of(rng, rng.standard_normal(n), rng.random(n) < 0.2, day), "a").watched["v1"]
    once = compact_windows(watched)
    assert len(once.windows) <= MOST_WINDOWS + 1
    for _ in range(3):
        once = compact_windows(once)
    assert sum(k.rows for k in once.windows.values()) == n
    assert sum(k.errors for k in once.windows.values()) == sum(k.errors for k in watched.windows.values())
    assert compact_windows(once) is once
    newest = sorted(watched.windows)[-300:]
    assert all(once.windows[k] is watched.windows[k] for k in newest)
    added = sum((k.columns["x"].bins for k in once.windows.values()), np.zeros(1, dtype=int))
    assert (added == sum((k.columns["x"].bins for k in watched.windows.values()), np.zeros(1, dtype=int))).all()


def test_two_registries_become_one(booster, tmp_path):  # noqa: F811
    start = pl.datetime(2024, 1, 1)

    def dated(n, seed, first=0):
        hours = pl.int_range(n) + first
        return rows(n, seed).with_columns(when=start + pl.duration(hours=hours))

    registries = [tmp_path / k for k in ("here", "there", "whole")]
    evermodel.adopt(booster, data=dated(3000, 2), target="y", name="m", time="when", registry=registries[0])
    for other in registries[1:]:
        shutil.copytree(registries[0], other)
    one, two = dated(1200, 3), dated(1300, 4, first=600)
    evermodel.watch("m", one, registry=registries[0])
    evermodel.watch("m", two, registry=registries[1])
    whole = evermodel.watch("m", pl.concat([one, two]), registry=registries[2]).status
    found = evermodel.watch("m", merge=registries[1], registry=registries[0]).status
    assert found.counters == {**whole.counters, "batches": 2}
    assert [(w.start, w.rows, w.labelled) for w in found.windows] == [
        (w.start, w.rows, w.labelled) for w in whole.windows
    ]
    for a, b in zip(found.windows, whole.windows, strict=True):
        assert a.metrics["accuracy"].value == b.metrics["accuracy"].value
    assert {d.column: d.evidence for d in found.drift} == pytest.approx({d.column: d.evidence for d in whole.drift})
    with pytest.raises(AskedWrongly, match="count twice"):
        evermodel.watch("m", merge=registries[1], registry=registries[0])
    with pytest.raises(NotFound):
        evermodel.watch("m", merge=tmp_path / "nowhere", registry=registries[0])
