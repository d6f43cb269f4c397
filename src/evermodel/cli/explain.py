"""The command that compares two versions and says why they differ: ``explain``."""

from __future__ import annotations

import re

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, dialect_options
from evermodel.cli.output import print_result
from evermodel.core.errors import AskedWrongly

VERSION = re.compile(r"v[1-9][0-9]*")


@click.command(cls=Command)
@click.argument("name")
@click.argument("what", nargs=-1, metavar="[V_OLD V_NEW] [DATA]")
@click.option("--seed", default=0, show_default=True, help="Makes the sampling repeatable.")
@dialect_options
@add_shared_options
def explain(name: str, what: tuple[str, ...], seed: int, registry: str | None, as_json: bool) -> None:
    """Compare two versions: which rows were won and lost, where, by which columns, and what the data did.

    Without versions, the one in service is compared with the one it was made from. Without rows, those are used that
    were kept out of all training.

    \b
    Example:
      evermodel explain churn v1 v2 may.csv
    """
    versions = [word for word in what if VERSION.fullmatch(word)]
    sources = [word for word in what if not VERSION.fullmatch(word)]
    if len(versions) not in (0, 2) or len(sources) > 1:
        raise AskedWrongly(
            f"explain takes no version or two, and at most one source of rows. Got {' '.join(what)}.",
            f"For example: evermodel explain {name} v1 v2 may.csv",
        )
    old, new = versions or (None, None)
    data = sources[0] if sources else None
    print_result(evermodel.explain(name, old, new, data, seed=seed, registry=registry), as_json)
