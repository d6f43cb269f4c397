"""``evermodel check``: a Nagios plugin. Whatever goes wrong is UNKNOWN, exit code 3, on one line of stdout."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import Any, NoReturn

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options
from evermodel.cli.output import echo, print_result

UNKNOWN = 3
logger = logging.getLogger(__name__)


class Plugin(Command):
    """A command whose wrong arguments and failures are answers that Nagios understands."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(info_name, args, *rest, **more)
        except click.UsageError as error:
            report_unknown(error.format_message(), "--json" in args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.ClickException as error:
            report_unknown(error.format_message(), bool(context.params.get("as_json")))
        except Exception as error:  # a plugin that dies says nothing; Nagios must learn that nothing is known
            logger.info("The check failed unexpectedly.", exc_info=True)
            report_unknown(f"{type(error).__name__}: {error}", bool(context.params.get("as_json")))


def report_unknown(why: str, as_json: bool = False) -> NoReturn:
    """Print UNKNOWN with the reason, and end."""
    _print_unknown(why, as_json)
    raise SystemExit(UNKNOWN)


def _print_unknown(why: str, as_json: bool) -> None:
    text = " ".join(why.replace("|", "/").split())
    if as_json:
        click.echo(json.dumps({"name": None, "state": "UNKNOWN", "exit_code": UNKNOWN, "text": text}, indent=1))
    else:
        echo(f"MODEL UNKNOWN - {text}")


def _out_of_time(timeout: int, as_json: bool) -> None:
    """End the process from another thread: no signal is handled while SQLite waits for a lock. No file is cut short."""
    _print_unknown(f"no answer within {timeout} s", as_json)
    sys.stdout.flush()
    os._exit(UNKNOWN)


@click.command(cls=Plugin)
@click.argument("name")
@click.option("-w", "--warning", multiple=True, metavar="[FIGURE=]RANGE", help="Outside this: WARNING. Repeatable.")
@click.option("-c", "--critical", multiple=True, metavar="[FIGURE=]RANGE", help="Outside this: CRITICAL. Repeatable.")
@click.option("-m", "--metric", multiple=True, metavar="FIGURE", help="Reported even without a range. Repeatable.")
@click.option("--slice", default="", metavar="COLUMN=VALUE", help="Metrics of this group of rows only.")
@click.option("--alarms/--no-alarms", default=True, help="Whether open alarms count (default: they do).")
@click.option("-t", "--timeout", type=click.IntRange(1, 3600), default=50, show_default=True, help="Seconds.")
@click.option("--passive", metavar="COMMANDFILE", help="Also send the answer to Nagios through this pipe.")
@click.option("--host", help="With --passive: the host's name in Nagios.")
@click.option("--service", help="With --passive: the service's name in Nagios.")
@add_shared_options
def check(
    registry: str | None,
    as_json: bool,
    timeout: int,
    passive: str | None,
    host: str | None,
    service: str | None,
    **options: Any,
) -> None:
    """A Nagios plugin: one line and performance data; exit code 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

    A FIGURE is a metric (accuracy, auc, …), estimated.METRIC, drift.COLUMN.STATISTIC, row_age, label_age or watch_age
    in seconds, or open_alarms. A RANGE is Nagios's: "0.8:" alerts below 0.8, "7200" above 7200.

    \b
    Example:
      evermodel check churn
      evermodel check churn --warning auc=0.85: --critical auc=0.8: --critical row_age=7200
      evermodel check churn --passive /var/lib/nagios4/rw/nagios.cmd --host models --service churn
    """
    if passive and not (host and service):
        raise click.UsageError("--passive needs --host and --service: as which service of Nagios?")
    if (host or service) and not passive:
        raise click.UsageError("--host and --service need --passive COMMANDFILE.")
    watchdog = threading.Timer(timeout, _out_of_time, (timeout, as_json))
    watchdog.daemon = True
    watchdog.start()
    try:
        result = evermodel.check(registry=registry, **options)
        if passive:
            from evermodel.integrations.nagios_passive import send_passive

            send_passive(result, passive, host=str(host), service=str(service))
    finally:
        watchdog.cancel()
    print_result(result, as_json)
    raise SystemExit(result.exit_code)
