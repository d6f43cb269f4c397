"""Many alarms of one cause are one alarm; clumped rows raise none."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.contracts.related_columns import find_related_columns
from evermodel.core.records.monitoring import Alarm, AlarmCause, AlarmKind
from evermodel.core.stats.count_e_process import compute_drift_path
from evermodel.core.stats.overdispersion import (
    estimate_event_overdispersion,
    estimate_overdispersion,
    estimate_overdispersion_around_step,
)
from evermodel.core.stats.reference_bins import build_references, count_column
from evermodel.monitoring import monitor_state as ws
from evermodel.monitoring.alarms.alarm_wording import describe_alarm
from evermodel.monitoring.alarms.incidents import add_alarm, close_ended
from tests.monitoring.test_watch import stream
from tests.updating.conftest import adopted, booster, rows  # noqa: F401


def alarm(name, subject, since="1000", level="warning", evidence=1e6):
    return Alarm(AlarmKind(name), subject, level, since, evidence, AlarmCause.VALUES_SHIFTED)


def test_what_changed_together_is_one_alarm_and_closes_when_all_of_it_is_over():
    watched = ws.VersionMonitor("v1", related={"a": ("b",), "b": ("a",)})
    alarms, own = add_alarm((), alarm("drift", "a"), "drift:a", watched)
    assert own
    alarms, own = add_alarm(alarms, alarm("drift", "b", since="4000", level="critical"), "drift:b", watched)
    assert not own, "b moves with a"
    alarms, own = add_alarm(alarms, alarm("missing", "c"), "missing:c", watched)
    assert not own, "c changed with the same window"
    assert len(alarms) == 1
    assert (alarms[0].kind, alarms[0].subject, alarms[0].level) == ("drift", "a", "critical")
    assert alarms[0].members == ("drift:a", "drift:b", "missing:c")
    assert "b, c" in describe_alarm(alarms[0])
    alarms, own = add_alarm(alarms, alarm("drift", "d", since="7000"), "drift:d", watched)
    assert own, "nothing connects d with them"
    alarms, own = add_alarm(alarms, alarm("quality", "accuracy"), "quality:accuracy", watched)
    assert own, "quality is an alarm of its own"
    begun, opened = ws.TestProgress(), ws.TestProgress(opened="x")
    still = {"drift:a": begun, "drift:b": opened, "missing:c": begun, "drift:d": opened, "quality:accuracy": opened}
    assert close_ended(alarms, still, "9000")[1] == []
    closed, done = close_ended(alarms, {**still, "drift:b": begun}, "9000")
    assert [a.subject for a in done] == ["a"]
    assert [a.closed for a in closed if a.subject == "a"] == ["9000"]


@pytest.mark.parametrize(("strong", "since"), [(1e9, "3000"), (1e3, "1000")])
def test_quality_began_where_its_strongest_evidence_says(strong, since):
    watched = ws.VersionMonitor("v1")
    alarms, _ = add_alarm((), alarm("quality", "recall of rare", since="1000"), "quality:recall of rare", watched)
    whole = alarm("quality", "accuracy", since="3000", evidence=strong)
    alarms, own = add_alarm(alarms, whole, "quality:accuracy", watched)
    assert not own
    assert (alarms[0].since, alarms[0].evidence) == (since, max(1e6, strong))


def test_columns_that_move_together_are_found_categories_too():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(500)
    frame = pl.DataFrame({"a": a, "b": -(a**3), "c": rng.standard_normal(500), "k": np.where(a > 0, "x", "y")})
    found = find_related_columns(frame, frame.columns, a)
    assert found == {"a": ("b", "k"), "b": ("a", "k"), "c": (), "k": ("a", "b")}


def test_a_delivery_that_moves_two_columns_opens_one_alarm(adopted):  # noqa: F811
    evermodel.watch("m", stream(2000, 10).drop("y"), registry=adopted)
    moved = stream(4000, 11, first=5000).drop("y").with_columns(pl.col("a") + 1.0, pl.col("b") - 1.0)
    found = evermodel.watch("m", moved, registry=adopted).status
    assert len(found.open) == 1, [(a.kind, a.subject) for a in found.open]
    assert {"drift:a", "drift:prediction"} <= set(found.open[0].members), "b hardly matters to the model"
    assert {d.column for d in found.drift if d.level != "ok"} == {"a", "all columns", "prediction"}
    assert found.counters["alarms"] == 1


def seasons(rng, blocks, length=300, within=1.0):
    """Blocks whose level differs: exchangeable as blocks, not as rows."""
    return np.repeat(rng.standard_normal(blocks), length) + within * rng.standard_normal(blocks * length)


def test_blocks_in_random_order_are_quiet_and_taken_for_rows_they_alarm():
    level, alarmed, naive = np.log(1 / 0.0005), 0, 0
    for seed in range(40):
        x = seasons(np.random.default_rng(seed), 40)
        known = build_references(pl.DataFrame({"x": x[:3000]}), ["x"])["x"]
        windows = [count_column(pl.Series(x[a : a + 600]), known).bins for a in range(3000, 12_000, 600)]
        bins, concentrations = known.merge_bins(np.stack(windows)), known.merge_bins(np.asarray(known.concentrations))
        many = known.design_effect(600)
        alarmed += compute_drift_path(bins / many, np.maximum(concentrations / many, 0.5)).max() >= level
        naive += compute_drift_path(bins, concentrations).max() >= level
    assert alarmed == 0
    assert naive > 35, "who takes rows in a row for independent ones alarms on every stream"


def test_independent_rows_are_not_called_clumped_and_bursts_of_errors_are():
    rng = np.random.default_rng(1)
    shares = [estimate_overdispersion(rng.multinomial(250, np.ones(10) / 10, 8)) for _ in range(200)]
    assert np.mean(np.array(shares) > 0) < 0.05
    calm = [estimate_event_overdispersion(rng.random(5000) < 0.2) for _ in range(100)]
    assert np.mean(np.array(calm) > 0) < 0.05
    bursts = rng.random(5000) < np.repeat(rng.choice([0.05, 0.4], 20), 250)
    assert estimate_event_overdispersion(bursts) * 250 > 5


def test_one_step_of_the_error_is_no_clumping_and_swings_are():
    rng = np.random.default_rng(2)
    often = np.r_[rng.binomial(1000, 0.2, 6), rng.binomial(1000, 0.3, 6)]
    assert estimate_overdispersion_around_step(np.column_stack([often, 1000 - often])) == 0.0
    swings = rng.binomial(1000, rng.choice([0.1, 0.3], 12))
    assert estimate_overdispersion_around_step(np.column_stack([swings, 1000 - swings])) * 1000 > 10


@pytest.mark.parametrize("n", [5, 20, 200])
def test_the_quantile_is_chi_squares(n):
    from evermodel.core.stats.overdispersion import DOUBT, _low_chi2

    stats = pytest.importorskip("scipy.stats", reason="pip install scipy")
    assert _low_chi2(n) == pytest.approx(stats.chi2.ppf(DOUBT, n), rel=0.01)


def test_another_unit_is_an_alarm_however_much_rows_hang_together(adopted):  # noqa: F811
    found = evermodel.watch("m", stream(1000, 12).with_columns(pl.col("b") * 1000.0 + 5000.0), registry=adopted).status
    units = [a for a in found.open if a.kind == "types"]
    assert [(a.subject, a.level) for a in units] == [("b", "critical")]
    assert "unit" in describe_alarm(units[0])
    back = evermodel.watch("m", stream(1000, 13, first=5000), registry=adopted).status
    assert not [a for a in back.open if a.kind == "types"]


def test_columns_that_go_together_otherwise_are_an_alarm_of_all_columns(adopted):  # noqa: F811
    from evermodel.core.stats.row_cells import JOINT

    quiet = evermodel.watch("m", stream(4000, 14).drop("y"), registry=adopted).status
    assert not quiet.open
    turned = stream(8000, 15, first=9000).drop("y").with_columns(pl.col("b") * 0.3 + pl.col("a") * 0.954)
    found = evermodel.watch("m", turned, registry=adopted).status
    assert "drift:all columns" in {m for a in found.open for m in a.members}
    assert next(d for d in found.drift if d.column == JOINT).statistics["psi"] > 0.1


def test_two_files_are_held_against_each_other_in_all_columns_at_once():
    from evermodel.monitoring.drift_scores import measure_drift

    names = ["a", "b", "kind"]
    same = measure_drift(rows(1500, 1), rows(1500, 2), columns=names, joint=True)[-1]
    mixed = rows(1500, 3).with_columns(pl.col("b") * 0.3 + pl.col("a") * 0.954)
    turned = measure_drift(rows(1500, 1), mixed, columns=names, joint=True)[-1]
    assert same.column == "all columns"
    for name in ("c2st", "mmd"):
        assert turned.statistics[name] > 3 * same.statistics[name], name
