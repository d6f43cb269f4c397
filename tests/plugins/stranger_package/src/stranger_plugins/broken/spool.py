"""The notifier, broken: a notice that cannot be written is lost without an error."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from evermodel.core.notice import Notice


def spool(notice: Notice, /, *, folder: str) -> None:
    """Writes where it can."""
    with suppress(OSError):
        (Path(folder) / "notice.json").write_text(notice.to_json(), encoding="utf-8")
