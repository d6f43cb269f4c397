"""Watching a real model: labels late, early, strange; batches twice; columns gone; two watchers at once."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting, NoData, NotFound
from evermodel.monitoring.alarms.alarm_wording import next_command
from evermodel.monitoring.monitor_state import read_state
from evermodel.monitoring.watch import status
from evermodel.monitoring.watched_rows import parse_window
from evermodel.registry.lookup import open_store
from tests.updating.conftest import adopted, booster, rows  # noqa: F401

DAY = 86_400


def stream(n, seed, angle=0.0, first=0):
    return rows(n, seed, angle).with_columns(id=np.arange(first, first + n))


def test_quiet_rows_are_quiet_and_a_turned_world_is_not(adopted):  # noqa: F811
    for i in range(4):
        quiet = evermodel.watch("m", stream(1000, 10 + i, first=1000 * i), registry=adopted)
    assert not quiet.status.open
    window = quiet.status.windows[-1]
    assert (window.rows, window.labelled) == (1000, 1000)
    assert window.metrics["accuracy"].low < window.metrics["accuracy"].value < window.metrics["accuracy"].high
    for i in range(3):
        turned = evermodel.watch("m", stream(1000, 20 + i, angle=1.5, first=9000 + 1000 * i), registry=adopted)
    quality = [a for a in turned.status.open if a.kind == "quality" and a.subject == "accuracy"]
    assert len(quality) == 1, "it opens once"
    assert quality[0].since == "4000"
    assert next_command(quality[0], "m", "v1").startswith("evermodel update m")
    for i in range(4):
        back = evermodel.watch("m", stream(1000, 30 + i, first=20_000 + 1000 * i), registry=adopted)
    assert not [a for a in back.status.open if a.subject == "accuracy"], "it closes by itself"


def test_drift_of_a_column_that_matters_is_an_alarm_that_names_it(adopted):  # noqa: F811
    moved = stream(4000, 11).with_columns(pl.col("a") + 0.5)
    found = evermodel.watch("m", moved.drop("y"), registry=adopted).status
    assert ("drift", "a") in {(a.kind, a.subject) for a in found.open}
    assert not {a.subject for a in found.open} & {"b", "kind"}
    assert found.drift[0].column == "a"
    assert found.drift[0].importance == "high"
    assert found.windows[-1].metrics == {}, "without labels nothing is claimed"


def test_the_same_delivery_counts_once_and_so_does_the_same_row(adopted):  # noqa: F811
    frame = stream(1500, 12)
    once = evermodel.watch("m", frame, registry=adopted).status
    twice = evermodel.watch("m", frame, registry=adopted).status.counters
    assert twice == {**once.counters, "duplicates": 1}
    again = evermodel.watch("m", frame[:400].vstack(frame[:0]), registry=adopted).status
    assert again.counters["predictions"] == 1500
    assert again.counters["duplicates"] == 401


def test_labels_late_early_strange_and_repeated(adopted):  # noqa: F811
    frame = stream(2000, 13)
    labels = frame.select("id", "y")
    early = evermodel.watch("m", labels=labels[1500:], registry=adopted).status
    assert early.counters.get("labels", 0) == 0
    assert early.windows == ()
    some = evermodel.watch("m", frame.drop("y"), registry=adopted).status
    assert some.counters["labels"] == 500
    strange = pl.concat([labels[:700], labels[:5], pl.DataFrame({"id": [10**9], "y": [1]}, schema=labels.schema)])
    late = evermodel.watch("m", labels=strange, registry=adopted).status
    assert late.counters["labels"] == 1200
    assert sum(w.labelled for w in late.windows) == 1200
    at_once = rows(2000, 13)
    evermodel.watch("m", stream(100, 14, first=5000), registry=adopted)
    assert status("m", registry=adopted).counters["unmatched_labels"] == 1
    both = [w.metrics["accuracy"].value for w in late.windows]
    model = evermodel.evaluate("m", at_once[:700].vstack(at_once[1500:]), registry=adopted)
    assert np.average(both, weights=[w.labelled for w in late.windows]) == pytest.approx(model.scores["accuracy"])


def test_predictions_as_predict_writes_them_say_the_same(adopted, tmp_path):  # noqa: F811
    frame = stream(1000, 15)
    evermodel.predict_file("m", frame, to=tmp_path / "p.parquet", registry=adopted)
    said = pl.read_parquet(tmp_path / "p.parquet").join(frame.select("id", "y"), on="id", maintain_order="left")
    found = evermodel.watch("m", said, registry=adopted).status
    truth = evermodel.evaluate("m", frame, registry=adopted).scores
    metrics = found.windows[0].metrics
    assert metrics["auc"].value == pytest.approx(truth["auc"], abs=1e-5)
    assert not found.open, "inputs that were not sent are not gone"


def test_two_watchers_at_once_lose_nothing_and_a_restart_neither(adopted):  # noqa: F811
    frames = [stream(300, 40 + i, first=1000 * i) for i in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda f: evermodel.watch("m", f, registry=adopted), frames))
    found = status("m", registry=adopted)
    assert found.counters["predictions"] == 1800
    assert sum(w.rows for w in found.windows) == 1800


def test_windows_of_a_day_and_clocks_that_jump(booster, tmp_path):  # noqa: F811
    registry = tmp_path / "registry"
    start = pl.datetime(2024, 1, 1)

    def dated(n, seed, hours=1.0):
        at = (pl.int_range(n) * hours * 3600).cast(pl.Int64)
        return rows(n, seed).with_columns(when=start + pl.duration(seconds=at))

    evermodel.adopt(booster, data=dated(3000, 2), target="y", name="m", time="when", registry=registry)
    frame = dated(240, 3).with_columns(
        when=pl.when(pl.int_range(240) == 100).then(pl.datetime(2199, 1, 1)).otherwise(pl.col("when"))
    )
    found = evermodel.watch("m", frame, registry=registry).status
    assert len(found.windows) == 10
    assert found.windows[0].start == "2024-01-01T00:00:00+00:00"
    assert sum(w.rows for w in found.windows) == 240
    assert found.counters["clock"] == 1
    with pytest.raises(BadSetting, match="windows of 86400s"):
        evermodel.watch("m", frame[:5], window="7d", registry=registry)
    with pytest.raises(BadSetting, match="windows of 86400s"):  # also where these rows were taken in before
        evermodel.watch("m", frame, window="7d", registry=registry)


def test_rows_in_any_order_are_counted_into_the_same_windows(booster, tmp_path):  # noqa: F811
    """A file whose days are mixed: the windows' rows do not follow one another."""
    start, found = pl.datetime(2024, 1, 1), []
    at = (pl.int_range(pl.len()) * 600).cast(pl.Int64)
    known, later = (rows(n, n).with_columns(when=start + pl.duration(seconds=at)) for n in (3000, 2000))
    for order in (np.arange(2000), np.random.default_rng(0).permutation(2000)):
        registry = tmp_path / f"registry {len(found)}"
        evermodel.adopt(booster, data=known, target="y", name="m", time="when", registry=registry)
        evermodel.watch("m", later[order], registry=registry)
        state = read_state(open_store(registry), "m")[0]
        windows = state.watched["v1"].windows
        counts = {
            key: (w.rows, w.labelled, w.errors, w.predicted, {n: c.bins.tolist() for n, c in w.columns.items()})
            for key, w in windows.items()
        }
        found.append((counts, {k: w.measurements[0].metrics["accuracy"] for k, w in windows.items()}))
    assert len(found[0][0]) == 14
    assert found[0] == found[1]


def test_a_window_of_many_days_is_read_back_as_it_was_kept():
    for text, seconds in (("30d", 2_592_000), ("4 weeks", 2_419_200), ("90 days", 7_776_000), ("2s", 2)):
        size = parse_window(text)
        assert size.seconds == seconds and parse_window(str(size)) == size
    assert parse_window(str(parse_window("500rows"))).rows == 500
    for text in ("0d", "0s", "x", "0rows"):
        with pytest.raises(BadSetting, match="a time or a number of rows"):
            parse_window(text)


BAD = {
    "a column gone": lambda f: f.drop("b"),
    "all NaN": lambda f: f.with_columns(a=pl.lit(float("nan")), b=pl.lit(None, pl.Float64)),
    "one class": lambda f: f.with_columns(y=pl.lit(1)),
    "ten thousand categories": lambda f: f.with_columns(kind=pl.format("k{}", pl.int_range(pl.len()))),
    "words for numbers": lambda f: f.with_columns(a=pl.lit("broken")),
    "unknown labels": lambda f: f.with_columns(y=pl.lit("maybe")),
    "infinite": lambda f: f.with_columns(a=pl.lit(math.inf)),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_rows_give_no_false_figure(kind, adopted):  # noqa: F811
    found = evermodel.watch("m", BAD[kind](stream(1200, 16)), registry=adopted)
    json.loads(found.to_json(), parse_constant=lambda c: pytest.fail(f"{c} in JSON"))
    for window in found.status.windows:
        for name, value in window.metrics.items():
            assert math.isfinite(value.value), name
            assert value.n > 0
        if kind == "one class":
            assert "auc" not in window.metrics
        if kind in ("a column gone", "unknown labels"):
            assert window.metrics == {}
    if kind == "a column gone":
        assert [(a.kind, a.subject) for a in found.status.open if a.kind == "types"] == [("types", "b")]
        mended = evermodel.watch("m", stream(1200, 17, first=5000), registry=adopted).status
        assert not [a for a in mended.open if a.kind == "types"]
    if kind in ("all NaN", "words for numbers", "infinite"):
        assert ("missing", "a") in {(a.kind, a.subject) for a in found.status.open}


def test_zero_rows_and_wrong_requests_change_nothing(adopted):  # noqa: F811
    for data, error in ((stream(10, 1)[:0], NoData), ("nowhere.parquet", NotFound), (None, AskedWrongly)):
        with pytest.raises(error):
            evermodel.watch("m", data, registry=adopted)
    with pytest.raises(BadSetting, match="`window` must be"):
        evermodel.watch("m", stream(10, 1), window="soon", registry=adopted)
    with pytest.raises(BadSetting, match="`false_alarms` must be"):
        evermodel.watch("m", stream(10, 1), false_alarms=2.0, registry=adopted)
    with pytest.raises(AskedWrongly, match="joined"):
        evermodel.watch("m", labels=stream(10, 1).select("y"), registry=adopted)
    assert status("m", registry=adopted).windows == ()


def test_the_command_ends_with_20_where_an_alarm_is_open(adopted, tmp_path):  # noqa: F811
    from evermodel.cli.app import app

    stream(1500, 18).write_parquet(tmp_path / "quiet.parquet")
    stream(3000, 19, first=9000).with_columns(pl.col("a") + 1.0).write_parquet(tmp_path / "moved.parquet")
    for name, code in (("quiet", 0), ("moved", 20)):
        words = ["watch", "m", str(tmp_path / f"{name}.parquet"), "--registry", str(adopted), "--json"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == code, done.output
        shown = json.loads(done.stdout)
        assert {"windows", "alarms", "drift", "counters", "gauges"} <= set(shown)
    text = CliRunner().invoke(app, ["watch", "m", str(tmp_path / "moved.parquet"), "--registry", str(adopted)])
    assert "ALARM" in text.output


def test_accuracy_is_estimated_where_labels_are_few_or_none(adopted):  # noqa: F811
    evermodel.watch("m", stream(2000, 50), registry=adopted)
    frame = stream(2000, 51, first=5000)
    few = frame.with_columns(y=pl.when(pl.int_range(2000) % 10 == 0).then(pl.col("y")))
    evermodel.watch("m", few, registry=adopted)
    none = stream(1000, 52, first=9000).drop("y")
    found = evermodel.watch("m", none, registry=adopted).status.windows
    assert found[0].estimates == {}, "what is known is not estimated"
    truth = evermodel.evaluate("m", frame, registry=adopted).scores["accuracy"]
    for window in (found[2], found[3], found[4]):
        guess = window.estimates["accuracy"]
        assert guess.estimated
        assert guess.low < guess.value < guess.high
        assert abs(guess.value - truth) < 0.08
    assert found[4].metrics == {}


def test_the_estimates_interval_holds_the_truth():
    from evermodel.core.stats.accuracy_estimate import estimate_from_confidence, sum_confidences

    rng, inside, narrower = np.random.default_rng(0), 0, 0.0
    for _ in range(400):
        f = rng.beta(4, 2, 10_000)
        right = (rng.random(10_000) < f**2).astype(float)  # overconfident
        at = rng.choice(10_000, 200, replace=False)
        found = estimate_from_confidence(sum_confidences(right, f), sum_confidences(right[at], f[at]), same_rows=True)
        inside += found.low <= right.mean() <= found.high
        narrower += (found.high - found.low) / (2 * 1.96 * right[at].std() / np.sqrt(200))
    assert inside >= 0.92 * 400
    assert narrower / 400 < 0.98


def test_confidence_that_foretold_wrongly_moves_the_estimate_no_more():
    from evermodel.core.stats.accuracy_estimate import add_sums, estimate_from_history, fit_trust, sum_confidences

    rng = np.random.default_rng(1)

    def window_sums(sure, right, n=1000):
        """Within a window the surer rows are the better ones; ``right`` is the level of them all."""
        f = np.clip(rng.normal(sure, 0.1, n), 0.01, 0.99)
        return sum_confidences((rng.random(n) < f - sure + right).astype(float), f)

    true = [window_sums(s, s) for s in (0.9, 0.7, 0.8, 0.6, 0.9)]
    blind = [window_sums(s, 0.8) for s in (0.9, 0.7, 0.8, 0.6, 0.9)]
    assert fit_trust(true)[0] > 0.8
    assert fit_trust(blind)[0] < 0.2
    assert fit_trust(true[:1]) == (0.0, 0.0), "unproven, confidence moves nothing"
    new = window_sums(0.6, 0.6)
    assert abs(estimate_from_history(new, true)[0].value - 0.6) < 0.05
    usual = add_sums(blind)[1] / add_sums(blind)[0]
    assert abs(estimate_from_history(new, blind)[0].value - usual) < 0.05
    told = estimate_from_history(new, blind)[0]
    assert told.low <= usual <= told.high


def test_which_class_is_taken_for_which_and_rankings_within_an_entity(booster, tmp_path):  # noqa: F811
    registry, rng = tmp_path / "registry", np.random.default_rng(0)

    def visits(n, seed):
        return stream(n, seed).with_columns(who=rng.integers(0, 40, n))

    inputs = ["a", "b", "kind"]
    evermodel.adopt(booster, data=visits(1500, 2), target="y", name="m", entity="who", inputs=inputs, registry=registry)
    frame = visits(1000, 3)
    window = evermodel.watch("m", frame, registry=registry).status.windows[0]
    told = np.array([[window.confusion[t][s] for s in "01"] for t in "01"])
    assert told.sum() == 1000
    assert window.metrics["accuracy"].value == pytest.approx(np.trace(told) / 1000)
    ndcg = window.metrics["ndcg"]
    assert ndcg.n == 40
    assert ndcg.low < ndcg.value < ndcg.high <= 1.01
    assert window.metrics["hit_rate"].value > 0.9
