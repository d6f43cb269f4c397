"""The command that tells what happened."""

from __future__ import annotations

import click

import evermodel
from evermodel.cli.options import home_and_json
from evermodel.cli.show import say


@click.command()
@click.argument("name")
@click.option("--since", metavar="AGE|DATE", help="Only what happened since: 7d, 12h, 2026-03-01.")
@home_and_json
def history(name: str, since: str | None, home: str | None, as_json: bool) -> None:
    """One timeline of a model: what happened, when, why, which version served afterwards.

    \b
    Example:
      evermodel history churn --since 30d
    """
    say(evermodel.history(name, since=since, home=home), as_json)
