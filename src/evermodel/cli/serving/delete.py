"""``evermodel delete``: the rows of one person or thing go from everything that is kept of a model."""

from __future__ import annotations

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options
from evermodel.cli.output import print_result
from evermodel.core.errors import BadSetting


@click.command(cls=Command)
@click.argument("name")
@click.option("--entity", required=True, metavar="COLUMN=VALUE", help="Whose rows go, such as customer=4711.")
@click.option("--dry-run", is_flag=True, help="Only say how many rows there are.")
@add_shared_options
def delete(name: str, entity: str, dry_run: bool, registry: str | None, as_json: bool) -> None:
    """Delete all rows of one person or thing from what is kept of a model: log, labels, remembered and watched rows.

    The models stay; the versions that may have learnt from the rows are named. A server may run meanwhile: what it
    answered is deleted once it has handed its last predictions over, within half a minute.

    \b
    Example:
      evermodel delete churn --entity customer=4711
    """
    column, equals, value = entity.partition("=")
    if not equals or not column or not value:
        raise BadSetting(f"`entity` must be a column and a value, such as customer=4711. Got {entity[:60]!r}.")
    print_result(evermodel.delete(name, column=column, value=value, dry_run=dry_run, registry=registry), as_json)
