"""The command ``notify``."""

from __future__ import annotations

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, settings_option
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("name")
@click.option("--with", "notifier", required=True, help="log, webhook, email or slack.")
@settings_option("the notifier, secrets as env:NAME")
@click.option("--test", is_flag=True, help="Send one trial notice instead.")
@add_shared_options
def notify(name: str, notifier: str, settings: dict[str, str], test: bool, registry: str | None, as_json: bool) -> None:
    """Send the open alarms of a model: each once per level, and once when it is over. Run it after watch.

    Exit code 1: something was not delivered; it is tried again next time.

    \b
    Example:
      evermodel notify churn --with slack --set url=env:SLACK_URL
    """
    result = evermodel.notify(name, notifier, settings=settings, test=test, registry=registry)
    print_result(result, as_json)
    raise SystemExit(1 if result.failed else 0)
