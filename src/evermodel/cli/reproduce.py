"""The command that builds a version again."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.options import home_and_json
from evermodel.cli.show import say


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--restore", is_flag=True, help="Put damaged files back where the new ones have their very hashes.")
@click.option("--to", metavar="FOLDER", help="Also write the version into a new folder.")
@click.option("--tolerance", type=click.FloatRange(min=0), default=1e-5, show_default=True,
              help="How far golden answers may differ, in units of the largest.")  # fmt: skip
@home_and_json
def reproduce(home: str | None, as_json: bool, **given: Any) -> None:
    """Build a version again from its card, and compare: bit for bit, or how far its golden answers differ.

    Exit code 0: the same, bit for bit or within the tolerance, 1: not, or nothing to compare with.

    \b
    Example:
      evermodel reproduce churn v3 --restore
    """
    result = evermodel.reproduce(home=home, **given)
    say(result, as_json)
    raise SystemExit(0 if result.within else 1)
