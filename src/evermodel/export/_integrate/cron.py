"""cron: one line that does what is due; the policies say what that is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from evermodel.core.errors import BadSetting
from evermodel.export._integrate import given
from evermodel.export._integrate.nagios import program_here
from evermodel.loop.home import home_folder


def cron(
    to: Path, /, *, every: str = "15m", log: str = "", program: str = "", home: str | Path | None = None
) -> Mapping[str, str]:
    """``every``: minutes or hours that divide an hour or a day; ``log``: where its words go (default: in the home)."""
    at = home_folder(home)
    words = [
        given.path(program or program_here(), "--program"),
        "maintain",
        "--once",
        "--home",
        given.path(at, "--home"),
    ]
    line = f"{shlex.join(words)} >> {shlex.quote(given.path(log or at / 'maintain.log', '--log'))} 2>&1"
    return {"evermodel.cron": given.filled("evermodel.cron", when=fields(every), line=line.replace("%", r"\%"))}


def fields(every: str) -> str:
    """15m, 2h, 1d -> five fields. Raises BadSetting where cron has no word for it."""
    minutes, rest = divmod(given.seconds(every, "--every"), 60)
    if not rest and minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    if not rest and minutes % 60 == 0 and 1_440 % minutes == 0:
        hours = minutes // 60
        return "0 0 * * *" if hours == 24 else f"0 */{hours} * * *" if hours > 1 else "0 * * * *"
    raise BadSetting(f"--every must divide an hour or a day, such as 5m, 15m, 1h, 6h or 1d. Got {every!r}.")
