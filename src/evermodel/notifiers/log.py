"""Append notices to a file, or print them on stderr."""

from __future__ import annotations

import sys
from pathlib import Path

from evermodel.core.errors import NotDelivered
from evermodel.core.notice import Notice

__all__ = ["log"]


def log(notice: Notice, /, *, file: str = "") -> None:
    """One JSON line a notice, appended to ``file``, or its title on stderr where no file is named.

    For cron, which mails what a job prints, and for whoever collects logs. Raises NotDelivered.
    """
    if not file:
        print(notice.text(), file=sys.stderr)  # noqa: T201
        return
    try:
        with Path(file).expanduser().open("a", encoding="utf-8") as out:
            out.write(notice.to_json() + "\n")
    except OSError as error:
        raise NotDelivered(f"{file} cannot be written ({error.strerror}).", "Name another file.") from None
