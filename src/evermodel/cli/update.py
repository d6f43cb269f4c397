"""The commands ``update`` and ``judge``."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.model_files.adopt_file import model_to_update
from evermodel.cli.options import (
    accept_option,
    add_shared_options,
    adoption_options,
    budget_option,
    dialect_options,
    gate_option,
    margin_option,
    metric_option,
    policy_option,
    refit_option,
    seed_option,
    settings_option,
    sign_option,
)
from evermodel.cli.output import exit_with, print_epochs, print_result


@click.command(cls=Command)
@click.argument("name")
@click.argument("data")
@click.option(
    "--with", "strategy", default="auto", show_default=True, help="The strategy; refit,replay tries both of them."
)
@settings_option("the strategy")
@click.option("--ensemble", is_flag=True, help="Allow several models as one: it answers several times slower.")
@click.option("--widen", is_flag=True, help="Give new categories inputs of their own: the input becomes wider.")
@click.option("--new-class", "new_classes", multiple=True, metavar="NAME", help="Learn this new class. Repeatable.")
@budget_option
@metric_option
@margin_option
@policy_option("no_worse; better where --with names a strategy")
@gate_option
@accept_option
@refit_option
@click.option("--dry-run", is_flag=True, help="Do everything but change the registry.")
@seed_option
@click.option("--guard-rows", metavar="FILE", help="Labelled rows on which the new version may not get worse.")
@click.option("--to", metavar="FILE", help="Also write the version in service to this file afterwards.")
@click.option("--data", "reference", metavar="FILE", help="With a model file: rows like those it was trained on.")
@adoption_options
@sign_option
@dialect_options
@add_shared_options
def update(name: str, data: str, registry: str | None, as_json: bool, **options: Any) -> None:
    """Train a challenger on new rows, judge it against the champion, and serve the better model.

    NAME is the name of a model, or a model file: then it is adopted first, with the options of adopt. The new version
    has the deployed one's structure, inputs and outputs, unless --ensemble, --widen or --new-class say so. Exit code 0:
    promoted, 10: held, 11: rejected, 12: the rows are no evidence.

    \b
    Example:
      evermodel update churn march.csv
      evermodel update existing_model.h5 new.csv --target churned --to updated_model.h5
    """
    from evermodel.registry.upkeep.version_signature import check_signing_key

    check_signing_key()
    with (
        print_epochs(quiet=as_json) as on_epoch,
        model_to_update(name, data, registry, options) as (model_name, rows, location, adopted),
    ):
        result = evermodel.update(model_name, rows, registry=location, on_epoch=on_epoch, **options)
    print_result(dataclasses.replace(result, adopted=adopted or result.adopted), as_json)
    exit_with(result.decision)


@click.command(cls=Command)
@click.argument("name")
@click.argument("version")
@click.argument("data", required=False)
@metric_option
@margin_option
@policy_option("better")
@gate_option
@click.option("--votes", metavar="FILE", help="Votes of people: rows of a prompt and the winner (a version, or tie).")
@click.option(
    "--lm-task",
    metavar="FILE",
    help="A multiple-choice task of lm-evaluation-harness (YAML) judges language models; DATA are its rows.",
)
@dialect_options
@add_shared_options
def judge(name: str, version: str, data: str | None, registry: str | None, as_json: bool, **options: Any) -> None:
    """Compare a version with the champion on labelled rows. Nothing is promoted.

    Without DATA the rows judge that were kept out of all training. Exit codes as those of update.

    \b
    Example:
      evermodel judge churn v3 april.csv
    """
    result = evermodel.judge(name, version, data, registry=registry, **options)
    print_result(result, as_json)
    exit_with(result.decision)
