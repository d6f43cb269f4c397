"""Alertmanager: one message a model, critical ones at once, to a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evermodel.export._integrate import given


def alertmanager(
    to: Path, /, *, webhook: str = "http://localhost:9099/", wait: str = "30s", again: str = "5m"
) -> Mapping[str, str]:
    """``wait``: how long warnings of one model are gathered before the first message; ``again``: before the next."""
    given.seconds(wait, "--wait")
    given.seconds(again, "--again")
    values = {"webhook": given.url(webhook, "--webhook"), "wait": wait, "again": again}
    return {"alertmanager.yml": given.filled("alertmanager.yml", **values)}
