"""Two monitors add up to one that saw all rows; old looks become fewer and nothing is lost of the counts."""

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
from evermodel.core.reference import count_column, references
from evermodel.loop import watch_state as ws
from evermodel.loop.watch_evidence import learn_baselines, log_evidence, subjects
from evermodel.loop.watch_merge import MOST_LOOKS, compacted, merged
from tests.loop.conftest import booster, rows  # noqa: F401

REFERENCE = references(pl.DataFrame({"x": np.random.default_rng(0).standard_normal(1500)}), ["x"])


def looks_of(rng, at, wrong, days):
    found = {}
    for day in np.unique(days):
        here = days == day
        n = int(here.sum())
        found[f"t{day:04d}"] = ws.Look(f"t{day:04d}", f"{day}", f"{day + 1}", n, n, int(wrong[here].sum()), 0,
                                       {"x": count_column(pl.Series("x", at[here]), REFERENCE["x"])},
                                       {"0": n})  # fmt: skip
    return found


def state_of(looks, batch):
    watched = ws.Watched("v1", REFERENCE, looks=looks)
    counters = {"predictions": sum(k.rows for k in looks.values())}
    return ws.State("m", "binary", "86400s", version="v1", batches={batch: "rows"}, watched={"v1": watched},
                    counters=counters)  # fmt: skip


def evidence(state):
    watched = state.watched["v1"]
    looks = [watched.looks[k] for k in sorted(watched.looks)]
    ripe = {k.key for k in looks}
    watched = learn_baselines(watched, looks, ripe, "binary")
    return {s.key: log_evidence(s, s.looks) for s in subjects(watched, looks, ripe)}


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
        one, other = merged(one, more), merged(more, other)
    for state in (one, other):
        assert state.counters == whole.counters
        assert {k: v.rows for k, v in state.watched["v1"].looks.items()} == {
            k: v.rows for k, v in whole.watched["v1"].looks.items()
        }
        assert evidence(state) == pytest.approx(evidence(whole))
        assert ws.to_bytes(ws.from_bytes(ws.to_bytes(state))) == ws.to_bytes(state)


def test_what_does_not_add_up_is_refused():
    rng = np.random.default_rng(0)
    a = state_of(looks_of(rng, rng.standard_normal(100), rng.random(100) < 0.2, np.zeros(100, dtype=int)), "a")
    for b, words in (
        (a, "count twice"),
        (dataclasses.replace(a, batches={"b": "rows"}, window="3600s"), "window"),
        (dataclasses.replace(a, batches={"b": "rows"}, watched={"v1": ws.Watched("v1", {})}), "reference"),
    ):
        with pytest.raises(AskedWrongly, match=words):
            merged(a, b)
    by_rows = [dataclasses.replace(a, window="1000rows", batches={k: "rows"}) for k in "ab"]
    with pytest.raises(AskedWrongly, match="by time"):
        merged(*by_rows)


def test_old_looks_become_fewer_and_all_rows_stay():
    rng, n = np.random.default_rng(1), 100 * (MOST_LOOKS + 301)
    day = np.arange(n) // 100
    watched = state_of(looks_of(rng, rng.standard_normal(n), rng.random(n) < 0.2, day), "a").watched["v1"]
    once = compacted(watched)
    assert len(once.looks) <= MOST_LOOKS + 1
    for _ in range(3):
        once = compacted(once)
    assert sum(k.rows for k in once.looks.values()) == n
    assert sum(k.errors for k in once.looks.values()) == sum(k.errors for k in watched.looks.values())
    assert compacted(once) is once
    newest = sorted(watched.looks)[-300:]
    assert all(once.looks[k] is watched.looks[k] for k in newest)
    added = sum((k.columns["x"].bins for k in once.looks.values()), np.zeros(1, dtype=int))
    assert (added == sum((k.columns["x"].bins for k in watched.looks.values()), np.zeros(1, dtype=int))).all()


def test_two_homes_become_one(booster, tmp_path):  # noqa: F811
    start = pl.datetime(2024, 1, 1)

    def dated(n, seed, first=0):
        hours = pl.int_range(n) + first
        return rows(n, seed).with_columns(when=start + pl.duration(hours=hours))

    homes = [tmp_path / k for k in ("here", "there", "whole")]
    evermodel.adopt(booster, data=dated(3000, 2), target="y", name="m", time="when", home=homes[0])
    for other in homes[1:]:
        shutil.copytree(homes[0], other)
    one, two = dated(1200, 3), dated(1300, 4, first=600)
    evermodel.watch("m", one, home=homes[0])
    evermodel.watch("m", two, home=homes[1])
    whole = evermodel.watch("m", pl.concat([one, two]), home=homes[2]).monitored
    found = evermodel.watch("m", merge=homes[1], home=homes[0]).monitored
    assert found.counters == {**whole.counters, "batches": 2}
    assert [(w.start, w.rows, w.labelled) for w in found.windows] == [
        (w.start, w.rows, w.labelled) for w in whole.windows
    ]
    for a, b in zip(found.windows, whole.windows, strict=True):
        assert a.metrics["accuracy"].value == b.metrics["accuracy"].value
    assert {d.column: d.evidence for d in found.drift} == pytest.approx({d.column: d.evidence for d in whole.drift})
    with pytest.raises(AskedWrongly, match="count twice"):
        evermodel.watch("m", merge=homes[1], home=homes[0])
    with pytest.raises(NotFound):
        evermodel.watch("m", merge=tmp_path / "nowhere", home=homes[0])
