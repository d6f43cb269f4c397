"""Nagios: commands, templates, a host, services and their dependencies, for the models of a home."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.export._integrate import given
from evermodel.export.check import checked_range
from evermodel.export.exposition import known
from evermodel.export.passive import OBJECT
from evermodel.loop.home import home_folder


def nagios(
    to: Path,
    /,
    *,
    models: Sequence[str] = (),
    warning: Sequence[str] = (),
    critical: Sequence[str] = (),
    host: str = "evermodel",
    contact_group: str = "admins",
    every: str = "5m",
    silent: str = "1d",
    program: str = "",
    home: str | Path | None = None,
) -> Mapping[str, str]:
    """``models``: all of the home unless named; ``warning``, ``critical``: ranges of ``check`` for a quality service.

    ``program``: the command that Nagios calls, found beside this Python unless told.
    """
    names = known(tuple(models), home)
    if not names:
        raise AskedWrongly("The home has no model to watch yet.", "'evermodel adopt' makes one.")
    for option, name in (("--host", host), ("--contact-group", contact_group)):
        if not OBJECT.fullmatch(name):
            raise AskedWrongly(f"{option} must be a name that Nagios allows. Got {name!r}.")
    minutes, rest = divmod(given.seconds(every, "--every"), 60)
    if rest:
        raise BadSetting(f"--every must be whole minutes: Nagios counts in them. Got {every}.")
    values = {
        "at": given.path(to, "--to"),
        "models": names,
        "warning": [_argument(r, "--warning") for r in warning],
        "critical": [_argument(r, "--critical") for r in critical],
        "host": host,
        "contact_group": contact_group,
        "every": minutes,
        "silent_seconds": given.seconds(silent, "--silent"),
        "program": shlex.quote(given.path(program or program_here(), "--program")),
        "home": shlex.quote(given.path(home_folder(home), "--home")),
    }
    return {"evermodel.cfg": given.filled("evermodel.cfg", **values)}


def _argument(text: str, option: str) -> str:
    """[FIGURE=]RANGE, quoted for the shell that Nagios starts."""
    name, equals, range_ = text.rpartition("=")
    checked_range(range_ if name or not equals else "", option, text)
    if not OBJECT.fullmatch(name or "x") or "\\" in name:
        raise AskedWrongly(f"{option} names a figure with characters that Nagios does not allow. Got {text!r}.")
    return shlex.quote(text)


def program_here() -> str:
    beside = Path(sys.executable).parent / "evermodel"
    found = str(beside) if beside.exists() else shutil.which("evermodel")
    if not found:
        raise AskedWrongly("The command evermodel is not in the PATH.", "Say where it is with --program.")
    return found
