"""``evermodel score``: batch scoring that goes on where it was interrupted."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import accept_option, add_shared_options, dialect_options, version_option
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("name")
@click.argument("data", metavar="INPUT")
@click.option("--to", required=True, metavar="OUTPUT", help="The file to write: .parquet, .csv or .jsonl.")
@version_option
@accept_option
@click.option("--restart", is_flag=True, help="Forget what an interrupted run scored, and begin anew.")
@dialect_options
@add_shared_options
def score(name: str, data: str, registry: str | None, as_json: bool, **options: Any) -> None:
    """Predict rows that do not fit in memory. Interrupted, the same command goes on where it stopped.

    \b
    Example:
      evermodel score churn customers.parquet --to scored.parquet
    """
    try:
        result = evermodel.score(name, data, registry=registry, **options)
    except KeyboardInterrupt:
        click.echo("\nStopped. What was scored is kept: the same command goes on.", err=True)
        raise SystemExit(130) from None
    print_result(result, as_json)
