"""The commands that search for a better version: ``tune``, ``prune``, ``fuse``, ``iterate``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.model_files.merge_folders import merge_given_files, parse_numbers
from evermodel.cli.options import (
    accept_option,
    add_shared_options,
    budget_option,
    dialect_options,
    gate_option,
    margin_option,
    metric_option,
    policy_option,
    refit_option,
    seed_option,
    settings_option,
)
from evermodel.cli.output import exit_with, explain_resume, print_epochs, print_result, size_printer, trial_printer
from evermodel.core.errors import BadSetting

TRIALS = "How many points to try.  [default: 30 where no --budget is given]"


def parse_times(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """0.5x or 0.5 as a number. Raises BadSetting."""
    if text is None:
        return None
    try:
        return float(text.strip().rstrip("xX"))
    except ValueError:
        raise BadSetting(f"--{parameter.name} must be a share of the champion's such as 0.5x. Got {text!r}.") from None


@click.command(cls=Command)
@click.argument("name")
@click.argument("data", required=False)
@click.option("--space", metavar="FILE", help="JSON or TOML: a name and its list of choices, or low, high and log.")
@click.option("--trials", type=click.IntRange(min=1), help=TRIALS)
@budget_option
@click.option("--with", "tuner", default="tpe", show_default=True, help="tpe, grid, random, or a plugin of yours.")
@settings_option("the tuner")
@click.option(
    "--folds", type=int, default=3, show_default=True, help="On how many parts of the rows a point is scored."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted search on the same rows.")
@click.option("--cold", is_flag=True, help="Do not begin where earlier searches of this model ended.")
@metric_option
@margin_option
@policy_option("better")
@gate_option
@accept_option
@refit_option
@seed_option
@dialect_options
@add_shared_options
def tune(name: str, data: str | None, registry: str | None, as_json: bool, cold: bool, **options: Any) -> None:
    """Search better hyperparameters; the best point, trained on all rows, is judged against the champion.

    DATA are new labelled rows; without them the newest remembered rows judge. Trial 0 is what is deployed. Ctrl-C
    loses no finished trial: --resume continues. Exit codes as those of update.

    \b
    Example:
      evermodel tune churn april.csv --trials 40
      evermodel tune churn --space space.json --budget 10m --resume
    """
    with explain_resume():
        on_trial = trial_printer(quiet=as_json)
        result = evermodel.tune(name, data, registry=registry, warm=not cold, on_trial=on_trial, **options)
    print_result(result, as_json)
    exit_with(result.decision)


@click.command(cls=Command)
@click.argument("name")
@click.argument("data", required=False)
@click.option(
    "--with", "pruner", default="auto", show_default=True, help="auto, channels, trees, features, magnitude, quantise."
)
@settings_option("the pruner")
@click.option("--ratio", type=float, help="The share to remove: 0.5 is half.")
@click.option("--latency", callback=parse_times, metavar="TIMES", help="Remove what brings the latency to this: 0.5x.")
@click.option("--size", callback=parse_times, metavar="TIMES", help="Remove what brings the size to this: 0.3x.")
@click.option("--keep-metric", type=float, default=0.005, show_default=True, help="How much of the score may be lost.")
@click.option("--resume", is_flag=True, help="Continue where the same command was interrupted.")
@metric_option
@policy_option("cheaper")
@gate_option
@accept_option
@seed_option
@dialect_options
@add_shared_options
def prune(name: str, data: str | None, registry: str | None, as_json: bool, **options: Any) -> None:
    """Make the champion smaller and faster; promoted if it is shown to be no worse, and is cheaper.

    DATA are new labelled rows; without them rows choose and judge that were kept out of all training. Without --ratio,
    --latency or --size the largest ratio is taken that costs no more than --keep-metric. Ctrl-C loses no finished
    ratio: --resume continues. Exit codes as those of update.

    \b
    Example:
      evermodel prune churn april.csv --latency 0.5x
      evermodel prune churn april.csv --with trees --ratio 0.8 --keep-metric 0.01
    """
    with explain_resume(), print_epochs(quiet=as_json) as on_epoch:
        on_point = size_printer(quiet=as_json)
        result = evermodel.prune(name, data, registry=registry, on_epoch=on_epoch, on_point=on_point, **options)
    print_result(result, as_json)
    exit_with(result.decision)


@click.command(cls=Command)
@click.argument("name")
@click.argument("versions", nargs=-1)
@click.option("--data", metavar="FILE", help="Labelled rows that none of the versions was trained on.")
@click.option(
    "--with",
    "fuser",
    default="auto",
    show_default=True,
    help="auto, average, soup, slerp, ties, dare, vote, select, stack, distill; of --files linear, slerp, ties, dare, "
    "task_arithmetic.",
)
@settings_option("the fuser")
@click.option("--latency", type=float, metavar="TIMES", help="Refuse a model slower than so many times the champion.")
@metric_option
@margin_option
@policy_option("better")
@gate_option
@accept_option
@click.option("--files", is_flag=True, help="Merge the weights of model folders: what is named are folders.")
@click.option("--to", metavar="FOLDER", help="With --files: the new folder.")
@click.option("--base", metavar="FOLDER", help="With --files: the model that all of them were trained from.")
@click.option("--weights", callback=parse_numbers, metavar="A,B", help="With --files: the weight of each model.")
@seed_option
@dialect_options
@add_shared_options
def fuse(name: str, versions: tuple[str, ...], registry: str | None, as_json: bool, **options: Any) -> None:
    """Make one model of several versions, and judge it against the champion.

    Within one lineage the weights can be averaged; otherwise the predictions are, and distill makes one model of them.
    Exit codes as those of update. With --files the weights of model folders of any size are merged into a new folder,
    without a registry and a judge: adopt what comes out.

    \b
    Example:
      evermodel fuse churn v2 v3 v5 --data april.csv
      evermodel fuse churn v2 v3 --with distill --data april.csv
      evermodel fuse --files ./one ./other --with linear --to ./merged
      evermodel fuse --files ./one ./other --with ties --base ./first --set density=0.3 --to ./merged
    """
    if merge_given_files((name, *versions), registry, options, as_json=as_json):
        return
    with print_epochs(quiet=as_json) as on_epoch:
        result = evermodel.fuse(name, versions, registry=registry, on_epoch=on_epoch, **options)
    print_result(result, as_json)
    exit_with(result.decision)


@click.command(cls=Command)
@click.argument("name")
@click.argument("data", required=False)
@click.option("--goal", default="better", show_default=True, help="better, faster or smaller.")
@budget_option
@click.option("--trials", type=click.IntRange(min=1), help=TRIALS)
@click.option("--keep-metric", type=float, default=0.005, show_default=True, help="How much pruning may lose.")
@policy_option("better, for what is tuned or fused")
@accept_option
@click.option("--resume", is_flag=True, help="Continue where the same command was interrupted.")
@click.option("--report", "report_to", metavar="FILE", help="Also write the report on the last version made.")
@seed_option
@dialect_options
@add_shared_options
def iterate(
    name: str, data: str | None, registry: str | None, as_json: bool, report_to: str | None, **options: Any
) -> None:
    """Tune, prune and fuse in the order that pays; the challenger of every step is judged against the champion.

    DATA are new labelled rows; each step judges on a part of its own. Ctrl-C loses no finished trial, size or step:
    --resume continues. Exit codes as those of update.

    \b
    Example:
      evermodel iterate churn april.csv --goal faster
      evermodel iterate churn april.csv --budget 30m --report report.html
    """
    with explain_resume():
        on_trial, on_point = trial_printer(quiet=as_json), size_printer(quiet=as_json)
        result = evermodel.iterate(name, data, registry=registry, on_trial=on_trial, on_point=on_point, **options)
    if report_to:
        evermodel.report(name, result.challenger, to=report_to, registry=registry)
    print_result(result, as_json)
    exit_with(result.decision)
