"""``evermodel prune``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.options import home_and_json, parsed_settings
from evermodel.cli.show import epochs, finish, points_heard, resumable, say
from evermodel.core.errors import BadSetting


def _times(context: Any, parameter: click.Parameter, text: str | None) -> float | None:
    """0.5x or 0.5 -> 0.5."""
    if text is None:
        return None
    try:
        return float(text.strip().rstrip("xX"))
    except ValueError:
        raise BadSetting(f"--{parameter.name} must be a share of the champion's such as 0.5x. Got {text!r}.") from None


@click.command()
@click.argument("name")
@click.argument("data", required=False)
@click.option("--with", "with_", default="auto", show_default=True,
              help="auto, channels, trees, features, magnitude, quantise.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of that way; repeatable.")
@click.option("--ratio", type=float, help="The share that goes: 0.5 is half.")
@click.option("--latency", callback=_times, metavar="TIMES", help="As much as brings latency to this: 0.5x.")
@click.option("--size", callback=_times, metavar="TIMES", help="As much as brings the size to this: 0.3x.")
@click.option("--keep-metric", type=float, default=0.005, show_default=True, help="How much of the score may be lost.")
@click.option("--resume", is_flag=True, help="Go on where the same command was interrupted.")
@click.option("--metric", help="The metric that decides (else auc, accuracy or r2 by task).")
@click.option("--accept", multiple=True, help="Accept a difference from the contract: 'unit' or 'unit:COLUMN'.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@home_and_json
def prune(
    name: str, data: str | None, home: str | None, as_json: bool, settings: tuple[str, ...], **given: Any
) -> None:
    """Make the champion smaller and faster; it is served if it is no worse beyond doubt, and cheaper.

    DATA are new labelled rows; without, rows kept out of all training choose and judge. Without --ratio, --latency or
    --size the most that costs --keep-metric goes. Ctrl-C loses no finished ratio: --resume goes on. Exit codes as of
    update.

    \b
    Example:
      evermodel prune churn april.csv --latency 0.5x
      evermodel prune churn april.csv --with trees --ratio 0.8 --keep-metric 0.01
    """
    with resumable(), epochs(quiet=as_json) as hear:
        result = evermodel.prune(
            name,
            data,
            home=home,
            settings=parsed_settings(settings),
            on_epoch=hear,
            on_point=points_heard(quiet=as_json),
            **given,
        )
    say(result, as_json)
    finish(result.decision)
