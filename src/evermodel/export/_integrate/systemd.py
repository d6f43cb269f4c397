"""systemd: a service that does what is due, and the timer that starts it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evermodel.core.errors import AskedWrongly
from evermodel.export._integrate import given
from evermodel.export._integrate.nagios import program_here
from evermodel.export.passive import OBJECT
from evermodel.loop.home import home_folder


def systemd(
    to: Path, /, *, every: str = "15m", user: str = "", program: str = "", home: str | Path | None = None
) -> Mapping[str, str]:
    """``every``: the time between two runs; ``user``: who runs it, where it is no user's own unit."""
    if user and not OBJECT.fullmatch(user):
        raise AskedWrongly(f"--user must be a user's name. Got {user!r}.")
    values = {
        "every": given.seconds(every, "--every"),
        "user": user,
        "program": _plain(given.path(program or program_here(), "--program")),
        "home": _plain(given.path(home_folder(home), "--home")),
    }
    return {name: given.filled(name, **values) for name in ("evermodel-maintain.service", "evermodel-maintain.timer")}


def _plain(text: str) -> str:
    """As systemd reads it: % begins a specifier, spaces end a word."""
    escaped = text.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
