"""The commands ``maintain``, ``policy`` and ``approve``."""

from __future__ import annotations

import time

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, settings_option
from evermodel.cli.output import print_result
from evermodel.core.durations import parse_duration

FAILED = 21


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--once", is_flag=True, help="Do what is due and end (the default without --every).")
@click.option("--every", metavar="SPAN", help="Repeat after this time: 15m, 1h, …")
@click.option("--dry-run", is_flag=True, help="Say what is due and why; do nothing.")
@click.option("--retry", is_flag=True, help="Try jobs again that were given up.")
@add_shared_options
def maintain(
    names: tuple[str, ...],
    once: bool,
    every: str | None,
    dry_run: bool,
    retry: bool,
    registry: str | None,
    as_json: bool,
) -> None:
    """Do what the policies of these models (default: all) ask for now. Exit code 0, or 21 where a job failed.

    Any number of processes may run it on one registry: each job that is due is done once.

    \b
    Example:
      evermodel maintain churn --once
    """
    if once and every:
        raise click.UsageError("--once and --every contradict each other: give one of them.")
    if retry and dry_run:
        raise click.UsageError("--retry changes jobs and --dry-run changes nothing: give one of them.")
    from evermodel.cli.job_alarm import alarm_after_timeout
    from evermodel.maintenance.maintain import run_due_jobs
    from evermodel.registry.lookup import open_store

    pause = parse_duration(every, "--every") if every else None
    while True:
        result = run_due_jobs(open_store(registry), names, dry_run=dry_run, retry=retry, interrupt=alarm_after_timeout)
        retry = False  # once: a job that is given up again waits for a person
        if result.jobs or pause is None:
            print_result(result, as_json)
        if pause is None or dry_run:
            raise SystemExit(FAILED if result.failed else 0)
        time.sleep(pause)


@click.command(cls=Command)
@click.argument("name")
@settings_option("the policy")
@click.option("--file", metavar="FILE", help="A TOML file with a table [models.NAME].")
@add_shared_options
def policy(name: str, settings: dict[str, str], file: str | None, registry: str | None, as_json: bool) -> None:
    """Set when a model is watched and updated, and what may be promoted unattended; without options, show it.

    \b
    Example:
      evermodel policy churn --set data=incoming --set every=week
    """
    print_result(evermodel.policy(name, settings, file=file, registry=registry), as_json)


@click.command(cls=Command)
@click.argument("name")
@click.argument("version", required=False)
@click.option("--reject", is_flag=True, help="Decline it instead.")
@add_shared_options
def approve(name: str, version: str | None, reject: bool, registry: str | None, as_json: bool) -> None:
    """Put the challenger in service that waits for approval, or decline it.

    \b
    Example:
      evermodel approve churn v7
    """
    print_result(evermodel.approve(name, version, reject=reject, registry=registry), as_json)
