"""Nagios: commands, templates, a host, services and their dependencies, for the models of a registry."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.integrations.config import checked_text
from evermodel.integrations.exposition import check_names
from evermodel.integrations.nagios_check import check_range
from evermodel.integrations.nagios_passive import OBJECT
from evermodel.registry.lookup import registry_folder


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
    registry: str | Path | None = None,
) -> Mapping[str, str]:
    """``models``: all of the registry unless named; ``warning``, ``critical``: ranges of ``check`` for a quality
    service.

    ``program``: the command that Nagios calls; by default the one beside this Python.
    """
    names = check_names(tuple(models), registry)
    if not names:
        raise AskedWrongly("The registry holds no model yet.", "Adopt one first.")
    for option, name in (("`host`", host), ("`contact_group`", contact_group)):
        if not OBJECT.fullmatch(name):
            raise AskedWrongly(f"{option} must be a name that Nagios allows. Got {name!r}.")
    minutes, rest = divmod(checked_text.seconds(every, "`every`"), 60)
    if rest:
        raise BadSetting(f"`every` must be whole minutes: Nagios counts in them. Got {every}.")
    values = {
        "at": checked_text.path(to, "`to`"),
        "models": names,
        "warning": [_argument(r, "warning") for r in warning],
        "critical": [_argument(r, "critical") for r in critical],
        "host": host,
        "contact_group": contact_group,
        "every": minutes,
        "silent_seconds": checked_text.seconds(silent, "`silent`"),
        "program": shlex.quote(checked_text.path(program or find_program(), "`program`")),
        "registry": shlex.quote(checked_text.path(registry_folder(registry), "`registry`")),
    }
    return {"evermodel.cfg": checked_text.fill_template("evermodel.cfg", **values)}


def _argument(text: str, option: str) -> str:
    """[FIGURE=]RANGE, quoted for the shell that Nagios starts."""
    name, equals, range_ = text.rpartition("=")
    check_range(range_ if name or not equals else "", option, text)
    if not OBJECT.fullmatch(name or "x") or "\\" in name:
        raise AskedWrongly(f"`{option}` names a figure with characters that Nagios does not allow. Got {text!r}.")
    return shlex.quote(text)


def find_program() -> str:
    """The path of the command ``evermodel``: beside this Python, or in the PATH. Raises AskedWrongly."""
    beside = Path(sys.executable).parent / "evermodel"
    program = str(beside) if beside.exists() else shutil.which("evermodel")
    if not program:
        raise AskedWrongly("The command evermodel is not in the PATH.", "Say where it is with `program`.")
    return program
