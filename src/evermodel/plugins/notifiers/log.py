"""Appends notices to a file, or prints them on stderr."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from evermodel.core.errors import BadSetting, NotDelivered
from evermodel.core.notice import Notice

__all__ = ["log"]
ENDINGS = ("log", "json", "jsonl", "ndjson", "txt")


def log(notice: Notice, /, *, file: str = "") -> None:
    """One JSON line for each notice, appended to ``file``; without a file, the text on stderr.

    For cron, which mails what a job prints, and for collectors of logs. ``file`` must be called as a log is (log,
    json, jsonl, ndjson or txt at the end): a notice holds names out of files, and a policy may be somebody else's, so
    that no shell, cron or login script is ever appended to. Raises BadSetting, NotDelivered.
    """
    if not file:
        print(notice.text(), file=sys.stderr)  # noqa: T201
        return
    try:
        at = Path(file).expanduser().resolve()  # what a link points at is what is written
        if not at.parent.is_dir():
            raise NotDelivered(f"{file} cannot be written (there is no folder {at.parent}).", "Make the folder.")
        if at.name.rpartition(".")[2].lower() not in ENDINGS:
            raise BadSetting(
                f"file must be called as a log is: its name ends in {', '.join(ENDINGS)}. Got {file!r}.",
                "For example notices.jsonl.",
            )
        # A pipe without a reader would be waited for.
        descriptor = os.open(at, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as out:
            out.write(notice.to_json() + "\n")
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: ~ of nobody, or a loop of links
        why = getattr(error, "strerror", None) or str(error)
        raise NotDelivered(f"{file} cannot be written ({why}).", "Name another file.") from None
