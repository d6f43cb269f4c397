"""A notifier for programs that watch a folder: every notice is a file in it."""

from __future__ import annotations

import uuid
from pathlib import Path

from evermodel.core.errors import NotDelivered
from evermodel.core.notice import Notice


def spool(notice: Notice, /, *, folder: str) -> None:
    """Writes the notice as JSON to a new file of ``folder``. Raises NotDelivered where the folder cannot be written."""
    name = uuid.uuid4().hex
    try:
        new = Path(folder) / f".{name}"
        new.write_text(notice.to_json(), encoding="utf-8")
        new.rename(Path(folder) / f"{name}.json")
    except OSError as error:
        raise NotDelivered(f"A notice could not be written to the spool folder ({error.strerror}).") from None
