"""The command that tells people of open alarms."""

from __future__ import annotations

import click

import evermodel
from evermodel.cli.options import home_and_json, parsed_settings
from evermodel.cli.show import say


@click.command()
@click.argument("name")
@click.option("--with", "with_", required=True, help="log, webhook, email or slack.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of it; secrets as env:NAME.")
@click.option("--test", is_flag=True, help="Send one trial notice instead.")
@home_and_json
def notify(name: str, with_: str, settings: tuple[str, ...], test: bool, home: str | None, as_json: bool) -> None:
    """Send a model's open alarms, each once a level, and once when it is over. For cron, after watch.

    Exit code 1: something was not delivered, and is tried again next time.

    \b
    Example:
      evermodel notify churn --with slack --set url=env:SLACK_URL
    """
    result = evermodel.notify(name, with_, settings=parsed_settings(settings), test=test, home=home)
    say(result, as_json)
    raise SystemExit(1 if result.failed else 0)
