"""The command ``demo``."""

from __future__ import annotations

import click

from evermodel.cli.command import Command
from evermodel.cli.options import json_option
from evermodel.cli.output import echo, print_result


@click.command(cls=Command)
@click.argument("name", required=False)
@click.option("--to", default="evermodel_demo", show_default=True, help="The folder to work in.")
@click.option("--files-only", is_flag=True, help="Write the model and the rows as CSV files, and stop.")
@json_option
def demo(name: str | None, to: str, files_only: bool, as_json: bool) -> None:
    """Keep three deployed models good on real data, and compare with never updating and with the textbook's update.

    NAME is gas (Keras, sensors that age), bank (Keras, a financial crisis) or bike (LightGBM, a growing service);
    without it all three run, which takes about two minutes.

    \b
    Example:
      evermodel demo gas
    """
    from evermodel.demo.demo import demo as run_demo

    print_result(run_demo(name, to=to, files_only=files_only, say=lambda line: echo(line, err=True)), as_json)
