"""``evermodel label``: labels that arrive later, joined to the predictions that were logged."""

from __future__ import annotations

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, dialect_options
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("name")
@click.argument("data", metavar="FILE|-")
@dialect_options
@add_shared_options
def label(name: str, data: str, registry: str | None, as_json: bool) -> None:
    """Join labels that arrive later to the predictions that serve logged.

    FILE holds the target, and prediction_id or a column that clients sent with their rows (id, or entity and time).

    \b
    Example:
      evermodel label churn answers.csv
    """
    print_result(evermodel.label(name, data, registry=registry), as_json)
