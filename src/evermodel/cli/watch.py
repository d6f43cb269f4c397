"""The command ``watch``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, dialect_options
from evermodel.cli.output import echo, print_result

ALARM = 20
FOLLOW_SECONDS = 5.0  # between two looks at the files of --follow


@click.command(cls=Command)
@click.argument("name")
@click.argument("data", required=False)
@click.option("--labels", metavar="FILE", help="Labels that came later, joined by id, or by entity and time.")
@click.option("--window", help="1d, 6h, 10000rows.  [default: 1d where rows have a date, else 1000rows]")
@click.option("--once/--follow", default=True, help="Read DATA once (default), or whenever its file or folder changes.")
@click.option("--id", metavar="COLUMN", help="The column that identifies a row.")
@click.option("--version", help="The version that predicted the rows, if not the one in service.")
@click.option(
    "--false-alarms", type=float, help="The chance of any false alarm over the life of the monitor.  [default: 0.01]"
)
@click.option(
    "--second", metavar="VERSION", help="A version whose predictions make the intervals of few labels narrower."
)
@click.option("--suggest", type=int, metavar="N", help="Draw N rows whose labels would tell most; needs --to.")
@click.option("--to", metavar="FILE", help="With --suggest: the .csv or .parquet to write them to.")
@click.option("--merge", metavar="REGISTRY", help="Add another registry's monitor of this model to this one.")
@click.option("--push", "gateway", metavar="URL", help="Push the metrics to this Pushgateway afterwards.")
@click.option("--job", default="model_performance", show_default=True, help="With --push: the job's name there.")
@dialect_options
@add_shared_options
def watch(
    name: str,
    data: str | None,
    registry: str | None,
    as_json: bool,
    once: bool,
    gateway: str | None,
    job: str,
    **options: Any,
) -> None:
    """Take in rows that were predicted in service; report how good the model is and what changed.

    Exit code 0: no alarm, 20: an alarm is open.

    DATA holds rows with predictions (as predict writes them), or rows that the model predicts now.

    \b
    Example:
      evermodel watch churn march.parquet --labels answers.csv
      evermodel watch churn march.parquet --push http://localhost:9091
    """
    if not once and not data:
        raise click.UsageError("--follow needs DATA: a file that is written anew, or a folder that gets new files.")
    stamp = _stamp(data)
    result = evermodel.watch(name, data, registry=registry, **options)
    _print_and_push(result, name, gateway, job, registry, as_json)
    while not once:
        before = result.status.counters
        time.sleep(FOLLOW_SECONDS)
        if (now := _stamp(data)) == stamp:
            continue
        stamp = now
        result = evermodel.watch(name, data, registry=registry, **options)
        after = result.status.counters
        if any(after.get(k) != before.get(k) for k in ("predictions", "labels", "alarms")):
            _print_and_push(result, name, gateway, job, registry, as_json)
    raise SystemExit(ALARM if result.alarm else 0)


def _print_and_push(result: Any, name: str, gateway: str | None, job: str, registry: str | None, as_json: bool) -> None:
    """Print the result, and push the metrics where a gateway is given."""
    print_result(result, as_json)
    if gateway:
        echo(str(evermodel.push(name, to=gateway, job=job, registry=registry)), err=True)


def _stamp(data: str | None) -> tuple[tuple[str, int], ...]:
    """Names and times of the file, or of the files of a folder: they differ after a delivery."""
    at = Path(data or "")
    files = sorted(at.iterdir()) if at.is_dir() else [at] if data and at.is_file() else []
    return tuple((f.name, f.stat().st_mtime_ns) for f in files)
