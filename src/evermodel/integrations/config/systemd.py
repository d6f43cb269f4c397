"""systemd: a service that does what is due, and the timer that starts it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evermodel.core.errors import AskedWrongly
from evermodel.integrations.config import checked_text
from evermodel.integrations.config.nagios import find_program
from evermodel.integrations.nagios_passive import OBJECT
from evermodel.registry.lookup import registry_folder


def systemd(
    to: Path, /, *, every: str = "15m", user: str = "", program: str = "", registry: str | Path | None = None
) -> Mapping[str, str]:
    """``every``: the time between two runs; ``user``: who runs it, where it is no user's own unit."""
    if user and not OBJECT.fullmatch(user):
        raise AskedWrongly(f"`user` must be a user's name. Got {user!r}.")
    values = {
        "every": checked_text.seconds(every, "`every`"),
        "user": user,
        "program": _plain(checked_text.path(program or find_program(), "`program`")),
        "registry": _plain(checked_text.path(registry_folder(registry), "`registry`")),
    }
    return {
        name: checked_text.fill_template(name, **values)
        for name in ("evermodel-maintain.service", "evermodel-maintain.timer")
    }


def _plain(text: str) -> str:
    """As systemd reads it: % begins a specifier, spaces end a word."""
    escaped = text.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
