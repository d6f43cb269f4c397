"""cron: one line that does what is due; the policies say what that is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from evermodel.core.errors import BadSetting
from evermodel.integrations.config import checked_text
from evermodel.integrations.config.nagios import find_program
from evermodel.registry.lookup import registry_folder


def cron(
    to: Path, /, *, every: str = "15m", log: str = "", program: str = "", registry: str | Path | None = None
) -> Mapping[str, str]:
    """``every``: minutes or hours that divide an hour or a day; ``log``: where its words go (default: in the
    registry)."""
    at = registry_folder(registry)
    words = [
        checked_text.path(program or find_program(), "`program`"),
        "maintain",
        "--once",
        "--registry",
        checked_text.path(at, "`registry`"),
    ]
    line = f"{shlex.join(words)} >> {shlex.quote(checked_text.path(log or at / 'maintain.log', '`log`'))} 2>&1"
    return {
        "evermodel.cron": checked_text.fill_template(
            "evermodel.cron", when=fields(every), line=line.replace("%", r"\%")
        )
    }


def fields(every: str) -> str:
    """15m, 2h, 1d -> five fields. Raises BadSetting where cron has no word for it."""
    minutes, rest = divmod(checked_text.seconds(every, "`every`"), 60)
    if not rest and minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    if not rest and minutes % 60 == 0 and 1_440 % minutes == 0:
        hours = minutes // 60
        return "0 0 * * *" if hours == 24 else f"0 */{hours} * * *" if hours > 1 else "0 * * * *"
    raise BadSetting(f"`every` must divide an hour or a day, such as 5m, 15m, 1h, 6h or 1d. Got {every!r}.")
