"""What the exporter says: true to the monitor, valid to Prometheus, absent where not known."""

from __future__ import annotations

import dataclasses
import math
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

import evermodel
from evermodel.core.records.event import Actor, Adopted, ChampionMoved, Decided, Event, EventKind
from evermodel.core.records.monitoring import Alarm, AlarmCause, AlarmKind, Drift, MetricValue, MonitorStatus, Window
from evermodel.core.records.version_card import VersionCard
from evermodel.integrations.samples.collector import group_families
from evermodel.integrations.samples.families import FAMILIES, MOST_CLASSES, MOST_COLUMNS, MOST_SLICES
from evermodel.integrations.samples.samples import Sample, samples, unix
from evermodel.monitoring.watch import status
from scripts import servers
from tests.integrations.conftest import needs
from tests.updating.conftest import rows

CARD = VersionCard("m", "v1", framework="lightgbm", created="2026-11-24T16:00:00+00:00")
number = st.floats(allow_nan=True, allow_infinity=False)
text = st.text(max_size=8)
measured = st.builds(MetricValue, number, number, number, st.integers(0, 10**9))
metrics = st.dictionaries(text, measured, max_size=3)
monitors = st.builds(
    MonitorStatus,
    name=st.just("m"),
    version=text,
    task=st.sampled_from(["binary", "regression", ""]),
    at=text,
    windows=st.lists(
        st.builds(
            Window,
            text,
            text,
            st.integers(0, 9),
            st.integers(0, 9),
            text,
            slice=text,
            mature=st.booleans(),
            metrics=metrics,
            estimates=metrics,
        ),
        max_size=4,
    ).map(tuple),
    alarms=st.lists(
        st.builds(
            Alarm,
            st.sampled_from(AlarmKind),
            text,
            st.sampled_from(["warning", "critical", "unknown"]),
            text,
            number,
            st.sampled_from(AlarmCause),
            closed=st.sampled_from(["", "2026"]),
        ),
        max_size=4,
    ).map(tuple),
    drift=st.lists(
        st.builds(Drift, text, st.dictionaries(text, number, max_size=3), st.sampled_from(["low", "high"])), max_size=3
    ).map(tuple),
    baseline=st.dictionaries(text, number, max_size=2),
    counters=st.dictionaries(st.sampled_from(["predictions", "predicted.a", "alarms"]), st.integers(0, 10**12)),
    gauges=st.dictionaries(st.sampled_from(["last_row", "latency_p50", "label_delay"]), number),
)


def series(text: str) -> dict[tuple, float]:
    """Every series of an exposition. A series that is there twice, Prometheus refuses the scrape."""
    found: dict[tuple, float] = {}
    for family in parsed(text):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


@given(monitors)
def test_whatever_the_monitor_says_the_exposition_is_valid_and_holds_no_nan(monitor):
    from prometheus_client import CollectorRegistry, generate_latest

    class Once:
        def collect(self):
            return group_families([("m", list(samples(monitor, CARD, [])))])

    registry = CollectorRegistry()
    registry.register(Once())
    found = series(generate_latest(registry).decode())
    assert not [k for k, v in found.items() if math.isnan(v)]
    assert all(key[0] in {f.series for f in FAMILIES.values()} for key in found)


def test_a_broken_sample_is_seen_by_that_test():
    from prometheus_client import CollectorRegistry, generate_latest

    class Twice:
        def collect(self):
            return group_families([("m", [Sample("evermodel_rows", (), 1), Sample("evermodel_rows", (), 2)])])

    registry = CollectorRegistry()
    registry.register(Twice())
    with pytest.raises(AssertionError):
        series(generate_latest(registry).decode())


def test_the_figures_are_the_monitors(alarmed):
    monitor, found = status("m", registry=alarmed), series(evermodel.expose("m", registry=alarmed).text)
    newest = [w for w in monitor.windows if not w.slice and w.mature and w.metrics][-1]
    scored = {"model": "m", "version": newest.version, "slice": ""}
    for metric, m in newest.metrics.items():
        labels = tuple(sorted({**scored, "metric": metric}.items()))
        assert found[("evermodel_quality", *labels)] == m.value
        assert found[("evermodel_quality_low", *labels)] == m.low
        assert found[("evermodel_quality_rows", *labels)] == m.n
    model = (("model", "m"),)
    assert found[("evermodel_rows_total", *model)] == monitor.counters["predictions"]
    assert found[("evermodel_labels_total", *model)] == monitor.counters["labels"]
    assert found[("evermodel_alarms_open", ("level", "critical"), *model)] == len(monitor.open) > 0
    assert found[("evermodel_last_watched_timestamp_seconds", *model)] == unix(monitor.at)
    decided = [v for k, v in found.items() if k[0] == "evermodel_updates_total"]
    assert sum(decided) == 1
    assert found[("evermodel_monitor_up", *model)] == 1


def test_counters_survive_restarts_and_never_fall(registry):
    def counters():
        text = evermodel.expose("m", registry=registry).text
        return {k: v for k, v in series(text).items() if k[0].endswith("_total")}

    before = counters()
    evermodel.watch("m", rows(300, 30), registry=registry)
    evermodel.watch("m", rows(300, 30), registry=registry)  # the same delivery once more
    after = counters()
    assert before.keys() <= after.keys()
    assert all(after[k] >= v for k, v in before.items())
    grown = {k[0] for k, v in after.items() if v > before.get(k, 0)}
    assert {"evermodel_rows_total", "evermodel_labels_total", "evermodel_duplicates_total"} <= grown
    rows_key = ("evermodel_rows_total", ("model", "m"))
    assert after[rows_key] == before[rows_key] + 300


def test_what_was_never_watched_has_a_version_and_no_quality(quiet, tmp_path):
    registry = tmp_path / "registry"
    evermodel.adopt(quiet.model, data=quiet.reference, target="y", name="fresh", time="when", registry=registry)
    names = {k[0] for k in series(evermodel.expose(registry=registry).text)}
    assert {"evermodel_version_info", "evermodel_monitor_up", "evermodel_promotions_total"} <= names
    assert not [n for n in names if "quality" in n or "window" in n or "last_look" in n or n == "evermodel_rows_total"]


def test_a_model_that_cannot_be_read_does_not_take_the_others_along(registry, quiet):
    from evermodel.registry.lookup import open_store

    evermodel.adopt(quiet.model, data=quiet.reference, target="y", name="other", time="when", registry=registry)
    state = open_store(registry).resolve_alias("m", "monitor")
    assert state, "the monitor's state is a blob that the alias monitor names"
    shutil.rmtree(registry / "blobs" / state[:2])
    found = series(evermodel.expose(registry=registry).text)
    assert found[("evermodel_monitor_up", ("model", "m"))] == 0
    assert found[("evermodel_monitor_up", ("model", "other"))] == 1


def test_a_closed_alarm_stays_at_zero_and_an_open_one_of_its_name_wins():
    alarm = Alarm(AlarmKind.DRIFT, "a", "warning", "2026-11-01T00:00:00+00:00", 900.0, AlarmCause.VALUES_SHIFTED)
    closed = dataclasses.replace(alarm, closed="2026-11-02T00:00:00+00:00")
    other = dataclasses.replace(closed, subject="b")
    monitor = MonitorStatus("m", "v1", "binary", "", alarms=(alarm, closed, other))
    found = {s.labels: s.value for s in samples(monitor, CARD, []) if s.family == "evermodel_alarm_open"}
    assert found == {("drift", "a", "warning"): 1.0, ("drift", "b", "warning"): 0.0}


def test_series_are_bounded_where_the_data_are_not():
    measured = {"accuracy": MetricValue(0.9, 0.8, 1.0, 10)}
    monitor = MonitorStatus(
        "m",
        "v1",
        "multiclass",
        "",
        windows=tuple(Window("0", "9", 9, 9, "v1", slice=f"s={i}" if i else "", metrics=measured) for i in range(500)),
        drift=tuple(Drift(f"c{i}", {"ks": 0.1}, "low") for i in range(5000)),
        counters={f"predicted.{i}": 1 for i in range(10_000)} | {"predictions": 10_000},
    )
    found = list(samples(monitor, CARD, []))
    assert sum(s.family == "evermodel_quality" for s in found) == MOST_SLICES + 1
    assert sum(s.family == "evermodel_drift_statistic" for s in found) == MOST_COLUMNS
    assert sum(s.family == "evermodel_predictions" for s in found) == 0 < MOST_CLASSES
    assert Sample("evermodel_rows", (), 10_000) in found
    assert Sample("evermodel_quality", ("v1", "", "accuracy"), 0.9) in found


def test_a_promotion_by_hand_is_no_verdict():
    at = "2026-11-24T16:00:00+00:00"
    log = [
        Event("m", EventKind.ADOPTED, at, Adopted("v1")),
        Event("m", EventKind.PROMOTED, at, Decided("v2", "v1", seconds=2.5)),
        Event("m", EventKind.PROMOTED_BY_HAND, at, ChampionMoved("v1", "v2", Actor.HAND)),
        Event("m", EventKind.ROLLED_BACK, at, ChampionMoved("v2", "v1", Actor.HAND)),
    ]
    found = {(s.family, s.labels): s.value for s in samples(None, CARD, log)}
    assert found["evermodel_updates", ("promote",)] == 1
    assert found["evermodel_promotions", ()] == 3
    assert found["evermodel_rollbacks", ()] == 1
    assert found["evermodel_update_seconds", ()] == 2.5


@pytest.mark.parametrize("at", ["", "3000", "20260101", "soon", "0"])
def test_a_rows_number_is_no_time(at):
    assert math.isnan(unix(at))


def test_openmetrics_is_valid_too(alarmed):
    from prometheus_client.openmetrics.exposition import generate_latest

    from evermodel.integrations.samples.collector import collector_registry

    found = {f.name for f in openmetrics(generate_latest(collector_registry(("m",), alarmed)).decode())}
    assert {"evermodel_rows", "evermodel_version", "evermodel_quality"} <= found


@needs("promtool")
def test_promtool_has_nothing_to_say(alarmed):
    text = evermodel.expose(registry=alarmed).text
    check = [servers.needed("promtool"), "check", "metrics"]
    done = subprocess.run(check, input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    broken = text.replace("evermodel_rows_total", "evermodel_rows_totals")
    done = subprocess.run(check, input=broken, capture_output=True, text=True)
    assert done.returncode != 0


def test_every_family_is_documented():
    page = (servers.PARTS.parents[2] / "docs" / "how-to" / "monitor-with-prometheus-and-grafana.md").read_text()
    assert not [f.series for f in FAMILIES.values() if f"`{f.series}`" not in page]
