"""Writes the split of a running release into the configuration of a proxy."""

from __future__ import annotations

from pathlib import Path

from evermodel.core.errors import BadSetting, NotDelivered
from evermodel.core.files import write_text
from evermodel.integrations.proxies import envoy, nginx
from evermodel.integrations.proxies.request_split import RequestSplit

PROXIES = ("envoy", "nginx")


def publish_split(kind: str, split: RequestSplit, to: str) -> tuple[str, str]:
    """Writes the file of a proxy whole and lets the proxy read it; where it is, and which version it named before.

    Raises BadSetting where ``to`` is no place, or holds a file that was written otherwise; NotDelivered where it cannot
    be written, or nginx cannot be told.
    """
    pid_file: Path | None = None
    if kind == "envoy":
        file, cluster = envoy.read_place(to)
        text, find_written = envoy.write_routes(split, cluster), envoy.find_written
    else:
        file, pid_file = nginx.read_place(to)
        text, find_written = nginx.write_split(split), nginx.find_written
    try:
        before = file.read_text() if file.exists() else ""
        model, version = find_written(before)
        if before and model != split.name:
            raise BadSetting(
                f"{file} is not the file of {split.name}: it was written otherwise, or for another model.",
                "Name another file.",
            )
        if text != before:
            write_text(file, text)  # renamed into place: a proxy that watches sees the old file or the new one
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise NotDelivered(f"{file} cannot be written: {reason}.", "Is its folder one of yours?") from error
    if pid_file is not None:  # also where the file is as it was: nginx may not have been told of it
        nginx.tell_nginx(pid_file)
    return str(file), version
