"""The commands that keep a home: gc, backup, restore."""

from __future__ import annotations

import re
from typing import Any

import click

import evermodel
from evermodel.cli.options import home_and_json
from evermodel.cli.show import say

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def age(context: Any, parameter: Any, value: str | None) -> float | None:
    """90d, 12h, 30m, 2w, 45s -> seconds."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value.strip())
    if not match:
        raise click.BadParameter(f"must be an age such as 90d, 12h or 30m. Got {value!r}.")
    return float(match[1]) * UNITS[match[2]]


@click.command()
@click.option("--keep-versions", type=int, help="Remove files of versions beyond the newest N of a model.")
@click.option("--older-than", callback=age, metavar="AGE", help="Remove files of versions older than this: 90d.")
@click.option("--grace", callback=age, metavar="AGE", default="24h", show_default=True,
              help="Leave what was written within this time: others may be at work.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@home_and_json
def gc(home: str | None, as_json: bool, **given: Any) -> None:
    """Remove files that nothing points at; with a limit, files of old versions too. Cards and events always stay.

    Never touched: what a name, a policy, a monitor, a replay memory or the last decision mentions, its parents, and
    the version that a rollback would put back.

    \b
    Example:
      evermodel gc --keep-versions 5 --older-than 90d --dry-run
    """
    say(evermodel.gc(home=home, **given), as_json)


@click.command()
@click.option("--to", required=True, help="A new folder, .tar or .tar.gz file.")
@home_and_json
def backup(to: str, home: str | None, as_json: bool) -> None:
    """Write a whole home into one place, while others go on working. Exit code 1: something it needs was damaged.

    \b
    Example:
      evermodel backup --to /backups/models.tar
    """
    result = evermodel.backup(to=to, home=home)
    say(result, as_json)
    raise SystemExit(1 if result.lacking else 0)


@click.command()
@click.argument("source")
@click.option("--to", required=True, metavar="HOME", help="A new or empty folder; its store.toml may say elsewhere.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def restore(source: str, to: str, as_json: bool) -> None:
    """Make a home of a backup, on this database or another kind. Exit code 1: the backup lacked something.

    \b
    Example:
      evermodel restore /backups/models.tar --to /srv/models
    """
    result = evermodel.restore(source, to=to)
    say(result, as_json)
    raise SystemExit(1 if result.lacking else 0)
