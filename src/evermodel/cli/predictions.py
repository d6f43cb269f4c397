"""The commands that use a version on rows or write it out: ``predict``, ``evaluate``, ``save``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import accept_option, add_shared_options, dialect_options, version_option
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("name")
@click.argument("data")
@click.option("--to", required=True, metavar="FILE", help="The file to write: .csv, .parquet, .jsonl or .arrow.")
@version_option
@accept_option
@dialect_options
@add_shared_options
def predict(name: str, data: str, registry: str | None, as_json: bool, **options: Any) -> None:
    """Predict rows into a file: the id or row number, the prediction, and a probability per class.

    \b
    Example:
      evermodel predict churn customers.parquet --to predicted.csv
    """
    print_result(evermodel.predict_file(name, data, registry=registry, **options), as_json)


@click.command(cls=Command)
@click.argument("name")
@click.argument("data")
@version_option
@accept_option
@dialect_options
@add_shared_options
def evaluate(name: str, data: str, registry: str | None, as_json: bool, **options: Any) -> None:
    """Score a version on labelled rows.

    \b
    Example:
      evermodel evaluate churn march.csv
    """
    print_result(evermodel.evaluate(name, data, registry=registry, **options), as_json)


@click.command(cls=Command)
@click.argument("name")
@click.option("--to", required=True, metavar="FILE", help="A file of the model's own format, or a folder.")
@version_option
@click.option("--proof/--no-proof", default=True, help="Load the file in a clean process and compare its answers.")
@click.option(
    "--with-preprocessing", is_flag=True, help="Put the transform into the file, so that it takes raw columns."
)
@add_shared_options
def save(name: str, registry: str | None, as_json: bool, **options: Any) -> None:
    """Write a version as a model file of its own framework, its transform beside it.

    The file is loaded by its framework alone, in a clean process, and must answer as the version does. That costs what
    importing the framework does; --no-proof leaves it out. With --with-preprocessing the file
    (.keras or .skops) takes raw columns by name and answers as predict does.

    \b
    Example:
      evermodel save churn --to updated_model.h5
    """
    print_result(evermodel.save(name, registry=registry, **options), as_json)
