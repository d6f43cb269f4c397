"""The command ``adopt``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, adoption_options, dialect_options, sign_option
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("model")
@click.option("--data", help="Labelled rows like those it was trained on: a file, a folder or an SQL URL.")
@adoption_options
@sign_option
@dialect_options
@add_shared_options
def adopt(model: str, registry: str | None, as_json: bool, **options: Any) -> None:
    """Adopt a deployed model file; its first version, v1, is in service afterwards.

    Without --data the model waits: the oldest rows of its first update are used in place of the rows it was trained
    on.

    \b
    Example:
      evermodel adopt existing_model.h5 --data reference.csv --target subscribed
    """
    if not options["target"]:
        raise click.UsageError("--target is needed: which column holds the label?")
    from evermodel.registry.upkeep.version_signature import check_signing_key

    check_signing_key()
    print_result(evermodel.adopt(model, registry=registry, **options), as_json)
