"""Many alarms of one cause are one alarm; clumped rows raise none."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.clumping import clumping, clumping_besides_a_step, clumping_of
from evermodel.core.evidence import drift_path
from evermodel.core.monitoring import Alarm
from evermodel.core.reference import count_column, references
from evermodel.core.related import related
from evermodel.loop import watch_state as ws
from evermodel.loop.watch_incidents import joined, over
from tests.loop.conftest import adopted, booster, rows  # noqa: F401
from tests.watch.test_watch import stream


def alarm(name, subject, since="1000", level="warning", evidence=1e6):
    return Alarm(name, subject, level, since, evidence, f"{subject} changed", "")


def test_what_changed_together_is_one_alarm_and_closes_when_all_of_it_is_over():
    watched = ws.Watched("v1", related={"a": ("b",), "b": ("a",)})
    alarms, own = joined((), alarm("drift", "a"), "drift:a", watched)
    assert own
    alarms, own = joined(alarms, alarm("drift", "b", since="4000", level="critical"), "drift:b", watched)
    assert not own, "b moves with a"
    alarms, own = joined(alarms, alarm("missing", "c"), "missing:c", watched)
    assert not own, "c changed with the same look"
    assert len(alarms) == 1
    assert (alarms[0].name, alarms[0].subject, alarms[0].level) == ("drift", "a", "critical")
    assert alarms[0].members == ("drift:a", "drift:b", "missing:c")
    assert "b, c" in alarms[0].cause
    alarms, own = joined(alarms, alarm("drift", "d", since="7000"), "drift:d", watched)
    assert own, "nothing connects d with them"
    alarms, own = joined(alarms, alarm("quality", "accuracy"), "quality:accuracy", watched)
    assert own, "quality is told by itself"
    begun, opened = ws.Tested(), ws.Tested(opened="x")
    still = {"drift:a": begun, "drift:b": opened, "missing:c": begun, "drift:d": opened, "quality:accuracy": opened}
    assert over(alarms, still, "9000")[1] == []
    closed, done = over(alarms, {**still, "drift:b": begun}, "9000")
    assert [a.subject for a in done] == ["a"]
    assert [a.closed for a in closed if a.subject == "a"] == ["9000"]


def test_columns_that_move_together_are_found_categories_too():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(500)
    frame = pl.DataFrame({"a": a, "b": -(a**3), "c": rng.standard_normal(500), "k": np.where(a > 0, "x", "y")})
    found = related(frame, frame.columns, a)
    assert found == {"a": ("b", "k"), "b": ("a", "k"), "c": (), "k": ("a", "b")}


def test_a_delivery_that_moves_two_columns_opens_one_alarm(adopted):  # noqa: F811
    evermodel.watch("m", stream(2000, 10).drop("y"), home=adopted)
    moved = stream(4000, 11, first=5000).drop("y").with_columns(pl.col("a") + 1.0, pl.col("b") - 1.0)
    found = evermodel.watch("m", moved, home=adopted).monitored
    assert len(found.open) == 1, [(a.name, a.subject) for a in found.open]
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
        known = references(pl.DataFrame({"x": x[:3000]}), ["x"])["x"]
        looks = [count_column(pl.Series(x[a : a + 600]), known).bins for a in range(3000, 12_000, 600)]
        bins, gaps = known.coarse(np.stack(looks)), known.coarse(np.asarray(known.gaps))
        many = known.effective(600)
        alarmed += drift_path(bins / many, np.maximum(gaps / many, 0.5)).max() >= level
        naive += drift_path(bins, gaps).max() >= level
    assert alarmed == 0
    assert naive > 35, "who takes rows in a row for independent ones alarms on every stream"


def test_independent_rows_are_not_called_clumped_and_bursts_of_errors_are():
    rng = np.random.default_rng(1)
    shares = [clumping(rng.multinomial(250, np.ones(10) / 10, 8)) for _ in range(200)]
    assert np.mean(np.array(shares) > 0) < 0.05
    calm = [clumping_of(rng.random(5000) < 0.2) for _ in range(100)]
    assert np.mean(np.array(calm) > 0) < 0.05
    bursts = rng.random(5000) < np.repeat(rng.choice([0.05, 0.4], 20), 250)
    assert clumping_of(bursts) * 250 > 5


def test_one_step_of_the_error_is_no_clumping_and_swings_are():
    rng = np.random.default_rng(2)
    often = np.r_[rng.binomial(1000, 0.2, 6), rng.binomial(1000, 0.3, 6)]
    assert clumping_besides_a_step(np.column_stack([often, 1000 - often])) == 0.0
    swings = rng.binomial(1000, rng.choice([0.1, 0.3], 12))
    assert clumping_besides_a_step(np.column_stack([swings, 1000 - swings])) * 1000 > 10


@pytest.mark.parametrize("n", [5, 20, 200])
def test_the_quantile_is_chi_squares(n):
    from evermodel.core.clumping import DOUBT, _low_chi2

    stats = pytest.importorskip("scipy.stats", reason="pip install scipy")
    assert _low_chi2(n) == pytest.approx(stats.chi2.ppf(DOUBT, n), rel=0.01)


def test_another_unit_is_an_alarm_however_much_rows_hang_together(adopted):  # noqa: F811
    found = evermodel.watch("m", stream(1000, 12).with_columns(pl.col("b") * 1000.0 + 5000.0), home=adopted).monitored
    units = [a for a in found.open if a.name == "types"]
    assert [(a.subject, a.level) for a in units] == [("b", "critical")]
    assert "unit" in units[0].cause
    back = evermodel.watch("m", stream(1000, 13, first=5000), home=adopted).monitored
    assert not [a for a in back.open if a.name == "types"]


def test_columns_that_go_together_otherwise_are_an_alarm_of_all_columns(adopted):  # noqa: F811
    from evermodel.core.cells import JOINT

    quiet = evermodel.watch("m", stream(4000, 14).drop("y"), home=adopted).monitored
    assert not quiet.open
    turned = stream(8000, 15, first=9000).drop("y").with_columns(pl.col("b") * 0.3 + pl.col("a") * 0.954)
    found = evermodel.watch("m", turned, home=adopted).monitored
    assert "drift:all columns" in {m for a in found.open for m in a.members}
    assert next(d for d in found.drift if d.column == JOINT).statistics["psi"] > 0.1


def test_two_files_are_held_against_each_other_in_all_columns_at_once():
    from evermodel.loop.watch_compare import drift_between

    names = ["a", "b", "kind"]
    same = drift_between(rows(1500, 1), rows(1500, 2), columns=names, joint=True)[-1]
    mixed = rows(1500, 3).with_columns(pl.col("b") * 0.3 + pl.col("a") * 0.954)
    turned = drift_between(rows(1500, 1), mixed, columns=names, joint=True)[-1]
    assert same.column == "all columns"
    for name in ("c2st", "mmd"):
        assert turned.statistics[name] > 3 * same.statistics[name], name
