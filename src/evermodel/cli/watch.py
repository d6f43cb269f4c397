"""The command ``watch``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

import evermodel
from evermodel.cli.options import home_and_json
from evermodel.cli.show import say

ALARM = 20
EVERY = 5.0  # seconds between two looks of --follow


@click.command()
@click.argument("name")
@click.argument("data", required=False)
@click.option("--labels", metavar="FILE", help="Labels that came later, joined by id, or by entity and time.")
@click.option("--window", help="1d, 6h, 10000rows [a day where rows have a date, else 1000rows].")
@click.option("--once/--follow", default=True, help="Look once (default), or keep watching a file or folder.")
@click.option("--id", metavar="COLUMN", help="The column that says which row is which.")
@click.option("--version", help="The version that predicted the rows, if not the one in service.")
@click.option("--false-alarms", type=float, help="Chance of any false alarm over the monitor's life [0.01].")
@click.option("--second", metavar="VERSION", help="A version whose answers make intervals of few labels narrower.")
@click.option("--suggest", type=int, metavar="N", help="Draw N rows whose labels would tell most; needs --to.")
@click.option("--to", metavar="FILE", help="With --suggest: the .csv or .parquet to write them to.")
@click.option("--push", "gateway", metavar="URL", help="Push the metrics to this Pushgateway afterwards.")
@click.option("--job", default="model_performance", show_default=True, help="With --push: the job's name there.")
@home_and_json
def watch(
    name: str,
    data: str | None,
    home: str | None,
    as_json: bool,
    once: bool,
    gateway: str | None,
    job: str,
    **given: Any,
) -> None:
    """Take in rows in service; say how good the model is and what changed. Exit code 0: quiet, 20: an alarm is open.

    DATA holds rows with predictions (as predict writes them) or rows the model then predicts.

    \b
    Example:
      evermodel watch churn march.parquet --labels answers.csv
      evermodel watch churn march.parquet --push http://localhost:9091
    """
    if not once and not data:
        raise click.UsageError("--follow needs DATA: a file that is written anew, or a folder that gets new files.")
    seen = _stamp(data)
    result = evermodel.watch(name, data, home=home, **given)
    _tell(result, name, gateway, job, home, as_json)
    while not once:
        before = result.monitored.counters
        time.sleep(EVERY)
        if (now := _stamp(data)) == seen:
            continue
        seen = now
        result = evermodel.watch(name, data, home=home, **given)
        after = result.monitored.counters
        if any(after.get(k) != before.get(k) for k in ("predictions", "labels", "alarms")):
            _tell(result, name, gateway, job, home, as_json)
    raise SystemExit(ALARM if result.alarm else 0)


def _tell(result: Any, name: str, gateway: str | None, job: str, home: str | None, as_json: bool) -> None:
    """Prints what was seen, and pushes it where that was asked."""
    say(result, as_json)
    if gateway:
        click.echo(str(evermodel.push(name, to=gateway, job=job, home=home)), err=True)


def _stamp(data: str | None) -> tuple[tuple[str, int], ...]:
    """What says that a file, or a file of a folder, is new."""
    at = Path(data or "")
    files = sorted(at.iterdir()) if at.is_dir() else [at] if data and at.is_file() else []
    return tuple((f.name, f.stat().st_mtime_ns) for f in files)
