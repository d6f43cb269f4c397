"""Prometheus: what to scrape, what to record, when to alert, and unit tests of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evermodel.export._integrate import given


def prometheus(
    to: Path,
    /,
    *,
    exporter: str = "localhost:9464",
    pushgateway: str = "",
    alertmanager: str = "localhost:9093",
    interval: str = "15s",
    silent: str = "1d",
    patience: str = "5m",
    token_file: str = "",
) -> Mapping[str, str]:
    """``silent``: how long nobody may look at a model; ``patience``: how long something may be down."""
    silent_seconds = given.seconds(silent, "--silent")
    given.seconds(interval, "--interval")
    given.seconds(patience, "--patience")
    values = {
        "exporter": given.address(exporter, "--exporter"),
        "pushgateway": given.address(pushgateway, "--pushgateway") if pushgateway else "",
        "alertmanager": given.address(alertmanager, "--alertmanager"),
        "interval": interval,
        "patience": patience,
        "silent_seconds": silent_seconds,
        "silent_said": said(silent_seconds + 60),
        "token_file": given.path(token_file, "--token-file") if token_file else "",
    }
    rules = ("evermodel.recording.yml", "evermodel.alerts.yml", "evermodel.tests.yml")
    return {
        "prometheus.yml": given.filled("prometheus.yml", **values),
        **{f"rules/{name}": given.filled(name, **values) for name in rules},
    }


def said(seconds: int) -> str:
    """A duration as Prometheus's humanizeDuration says it; the rules' unit tests expect its words."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    first = next(i for i, (n, _) in enumerate(parts) if n)
    return " ".join(f"{n}{unit}" for n, unit in parts[first:])
