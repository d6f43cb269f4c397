"""``evermodel tune``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.options import home_and_json, parsed_settings, seconds
from evermodel.cli.show import finish, resumable, say, trials_heard


@click.command()
@click.argument("name")
@click.argument("data", required=False)
@click.option("--space", help="JSON or TOML file: NAME -> list of choices, or low, high and log.")
@click.option("--trials", type=click.IntRange(min=1), help="How many points to try [30 where no --budget is given].")
@click.option("--budget", help="Stop searching after this long: 60s, 10m, 1h.")
@click.option("--with", "with_", default="tpe", show_default=True, help="tpe, grid, random, or a tuner of your own.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the tuner; repeatable.")
@click.option("--folds", type=int, default=3, show_default=True, help="Parts of the rows that each point is scored on.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted search on the same rows.")
@click.option("--cold", is_flag=True, help="Do not begin where earlier searches of this model ended.")
@click.option("--metric", help="The metric that decides (else auc, accuracy or r2 by task).")
@click.option("--margin", type=float, help="How much worse counts as no worse; 0.01 is one point.")
@click.option("--accept", multiple=True, help="Accept a difference from the contract: 'unit' or 'unit:COLUMN'.")
@click.option("--finish/--no-finish", default=True, help="Train the winner on the judged rows too (default).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@home_and_json
def tune(
    name: str, data: str | None, home: str | None, as_json: bool, settings: tuple[str, ...], budget: str | None,
    cold: bool, **given: Any,
) -> None:  # fmt: skip
    """Search better hyperparameters; the best point, trained on all rows, meets the champion.

    DATA are new labelled rows; without, the newest remembered rows judge. Trial 0 is what is deployed. Ctrl-C loses no
    finished trial: --resume goes on. Exit codes as of update.

    \b
    Example:
      evermodel tune churn april.csv --trials 40
      evermodel tune churn --space space.json --budget 10m --resume
    """
    with resumable():
        result = evermodel.tune(
            name, data, home=home, settings=parsed_settings(settings), budget=seconds(budget), warm=not cold,
            on_trial=trials_heard(quiet=as_json), **given,
        )  # fmt: skip
    say(result, as_json)
    finish(result.decision)
