"""``evermodel iterate``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.options import home_and_json, seconds
from evermodel.cli.show import finish, points_heard, resumable, say, trials_heard


@click.command()
@click.argument("name")
@click.argument("data", required=False)
@click.option("--goal", default="better", show_default=True, help="better, faster or smaller.")
@click.option("--budget", help="Stop searching in time to be done about then: 60s, 10m, 1h.")
@click.option("--trials", type=click.IntRange(min=1), help="How many points to try [30 where no --budget is given].")
@click.option("--keep-metric", type=float, default=0.005, show_default=True, help="What pruning may cost of the score.")
@click.option("--accept", multiple=True, help="Accept a difference from the contract: 'unit' or 'unit:COLUMN'.")
@click.option("--resume", is_flag=True, help="Go on where the same command was interrupted.")
@click.option("--report", "report_to", metavar="FILE", help="Also write the report on the last version made.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@home_and_json
def iterate(
    name: str,
    data: str | None,
    home: str | None,
    as_json: bool,
    budget: str | None,
    report_to: str | None,
    **given: Any,
) -> None:
    """Tune, prune and fuse in the order that pays; every step's challenger meets the champion.

    DATA are new labelled rows; each step judges on a part of its own. Ctrl-C loses no finished trial, size or step:
    --resume goes on. Exit codes as of update.

    \b
    Example:
      evermodel iterate churn april.csv --goal faster
      evermodel iterate churn april.csv --budget 30m --report report.html
    """
    with resumable():
        result = evermodel.iterate(
            name,
            data,
            home=home,
            budget=seconds(budget),
            on_trial=trials_heard(quiet=as_json),
            on_point=points_heard(quiet=as_json),
            **given,
        )
    if report_to:
        evermodel.report(name, result.challenger, to=report_to, home=home)
    say(result, as_json)
    finish(result.decision)
