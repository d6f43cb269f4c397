"""The command that checks a home and mends it."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.keep import age
from evermodel.cli.options import home_and_json
from evermodel.cli.show import say


@click.command()
@click.argument("name", required=False)
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option("--from", "source", metavar="BACKUP", help="A backup to take whole files and rows from.")
@click.option("--network", is_flag=True, help="Also ask the https addresses in policies for their certificates.")
@click.option("--prometheus", metavar="URL", help="Also ask this server whether it scrapes the models.")
@click.option("--grace", callback=age, metavar="AGE", default="24h", show_default=True,
              help="Leave what was written within this time: others may be at work.")  # fmt: skip
@home_and_json
def doctor(name: str | None, home: str | None, as_json: bool, **given: Any) -> None:
    """Check files, names, the database, that champions load and answer as before, packages, freshness, disk.

    Exit code 0: healthy, 1: something is wrong (with --repair: still).

    \b
    Example:
      evermodel doctor
      evermodel doctor churn --repair --from /backups/models.tar
    """
    result = evermodel.doctor(name, home=home, **given)
    say(result, as_json)
    raise SystemExit(0 if result.healthy else 1)
