"""Prometheus: what to scrape, what to record, when to alert, and unit tests of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evermodel.integrations.config import checked_text


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
    """``silent``: how long a model may be unwatched; ``patience``: how long something may be down."""
    silent_seconds = checked_text.seconds(silent, "`silent`")
    checked_text.seconds(interval, "`interval`")
    checked_text.seconds(patience, "`patience`")
    values = {
        "exporter": checked_text.address(exporter, "`exporter`"),
        "pushgateway": checked_text.address(pushgateway, "`pushgateway`") if pushgateway else "",
        "alertmanager": checked_text.address(alertmanager, "`alertmanager`"),
        "interval": interval,
        "patience": patience,
        "silent_seconds": silent_seconds,
        "silent_said": humanize_duration(silent_seconds + 60),
        "token_file": checked_text.path(token_file, "`token_file`") if token_file else "",
    }
    rules = ("evermodel.recording.yml", "evermodel.alerts.yml", "evermodel.tests.yml")
    return {
        "prometheus.yml": checked_text.fill_template("prometheus.yml", **values),
        **{f"rules/{name}": checked_text.fill_template(name, **values) for name in rules},
    }


def humanize_duration(seconds: int) -> str:
    """A duration as humanizeDuration of Prometheus writes it; the unit tests of the rules expect this text."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    first = next(i for i, (n, _) in enumerate(parts) if n)
    return " ".join(f"{n}{unit}" for n, unit in parts[first:])
