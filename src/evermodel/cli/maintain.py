"""The commands ``maintain``, ``policy`` and ``approve``."""

from __future__ import annotations

import time

import click

import evermodel
from evermodel.cli.options import home_and_json, parsed_settings
from evermodel.cli.show import say
from evermodel.core.spans import seconds_of

FAILED = 21


@click.command()
@click.argument("names", nargs=-1)
@click.option("--once", is_flag=True, help="Do what is due and end (default without --every).")
@click.option("--every", metavar="SPAN", help="Go on, looking every 15 minutes, 1h …")
@click.option("--dry-run", is_flag=True, help="Say what is due and why; do nothing.")
@click.option("--retry", is_flag=True, help="Take up again the jobs that were given up.")
@home_and_json
def maintain(
    names: tuple[str, ...], once: bool, every: str | None, dry_run: bool, retry: bool, home: str | None, as_json: bool
) -> None:
    """Do what the policies of these models (default: all) ask for now. Exit code 0, or 21 where a job failed.

    Any number of processes may run it on one home: each job that is due is done once.

    \b
    Example:
      evermodel maintain churn --once
    """
    if once and every:
        raise click.UsageError("--once and --every say two things: give one of them.")
    if retry and dry_run:
        raise click.UsageError("--retry changes jobs and --dry-run changes nothing: give one of them.")
    pause = seconds_of(every, "--every") if every else None
    while True:
        result = evermodel.maintain(names, dry_run=dry_run, retry=retry, home=home)
        retry = False  # once: a job that is given up again waits for a person
        if result.jobs or pause is None:
            say(result, as_json)
        if pause is None or dry_run:
            raise SystemExit(FAILED if result.failed else 0)
        time.sleep(pause)


@click.command()
@click.argument("name")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one key; repeatable.")
@click.option("--file", metavar="FILE", help="A TOML file with a table [models.NAME].")
@home_and_json
def policy(name: str, settings: tuple[str, ...], file: str | None, home: str | None, as_json: bool) -> None:
    """Say when to look at a model, when to update it, and what may be promoted unattended; without options: show it.

    \b
    Example:
      evermodel policy churn --set data=incoming --set every=week
    """
    say(evermodel.policy(name, parsed_settings(settings), file=file, home=home), as_json)


@click.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--reject", is_flag=True, help="Decline it instead.")
@home_and_json
def approve(name: str, version: str | None, reject: bool, home: str | None, as_json: bool) -> None:
    """Put the challenger that waits for a person in service, or decline it.

    \b
    Example:
      evermodel approve churn v7
    """
    say(evermodel.approve(name, version, reject=reject, home=home), as_json)
