"""What the doctor found wrong, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("note", "warning", "critical")


@dataclass(frozen=True)
class Finding:
    """``severity``: "critical" (answers are wrong or lost), "warning" (will be), "note" (good to know; healthy)."""

    check: str  # which check found it
    what: str
    where: str
    severity: str
    repair: str  # what mends it: a command, or what a person must do
    mended: bool = False
