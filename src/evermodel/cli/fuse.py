"""``evermodel fuse``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.options import home_and_json, parsed_settings
from evermodel.cli.show import epochs, finish, say


@click.command()
@click.argument("name")
@click.argument("versions", nargs=-1)
@click.option("--data", help="Labelled rows that none of the versions was trained on.")
@click.option("--with", "with_", default="auto", show_default=True,
              help="auto, average, soup, slerp, ties, dare, vote, select, stack, distill.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of that way; repeatable.")
@click.option("--latency", type=float, metavar="TIMES", help="Refuse what is slower than so many times the champion.")
@click.option("--metric", help="The metric that decides (else auc, accuracy or r2 by task).")
@click.option("--margin", type=float, help="How much worse counts as no worse; 0.01 is one point.")
@click.option("--accept", multiple=True, help="Accept a difference from the contract: 'unit' or 'unit:COLUMN'.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@home_and_json
def fuse(
    name: str, versions: tuple[str, ...], home: str | None, as_json: bool, settings: tuple[str, ...], **given: Any
) -> None:
    """Make one model of several versions, and judge it against the champion.

    Along one lineage the weights can be averaged; otherwise the answers are, and distill makes one model of them. Exit
    codes as of update.

    \b
    Example:
      evermodel fuse churn v2 v3 v5 --data april.csv
      evermodel fuse churn v2 v3 --with distill --data april.csv
    """
    with epochs(quiet=as_json) as hear:
        result = evermodel.fuse(name, versions, home=home, settings=parsed_settings(settings), on_epoch=hear, **given)
    say(result, as_json)
    finish(result.decision)
