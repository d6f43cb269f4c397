"""Alertmanager: one message a model, critical ones at once, to a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evermodel.integrations.config import checked_text


def alertmanager(
    to: Path, /, *, webhook: str = "http://localhost:9099/", wait: str = "30s", again: str = "5m"
) -> Mapping[str, str]:
    """``wait``: how long warnings of one model are gathered before the first message; ``again``: before the next."""
    checked_text.seconds(wait, "`wait`")
    checked_text.seconds(again, "`again`")
    values = {"webhook": checked_text.url(webhook, "`webhook`"), "wait": wait, "again": again}
    return {"alertmanager.yml": checked_text.fill_template("alertmanager.yml", **values)}
