"""``evermodel publish``: hands the version in service over to another serving system."""

from __future__ import annotations

import time
from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, version_option
from evermodel.cli.output import print_result

FOLLOW_SECONDS = 1.0


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--to",
    required=True,
    metavar="KIND:PLACE",
    help="folder:DIR, tfserving:DIR, triton:DIR, mlflow:URI, kserve:FILE@URI, envoy:FILE@CLUSTER, nginx:FILE@PIDFILE, "
    "vllm:DIR[@URL], gguf:FILE.",
)
@version_option
@click.option("--once/--follow", default=True, help="Publish now (default), or now and at each later promotion.")
@click.option("--proof/--no-proof", default=True, help="Load the file in a clean process and compare its answers.")
@add_shared_options
def publish(
    name: str, to: str, registry: str | None, as_json: bool, version: str | None, once: bool, **options: Any
) -> None:
    """Hand a version over to another serving system; its readers see the old version or the new one, never a part.

    envoy and nginx get no model: they are told which share of the requests a running release gets.

    \b
    Example:
      evermodel publish churn --to folder:/srv/models
      evermodel publish churn --to mlflow:http://localhost:5000 --follow
    """
    if version is not None and not once:
        raise click.UsageError("--follow publishes the version in service: leave --version out.")
    from evermodel.integrations.publish import read_service

    served = None if once else read_service(name, registry=registry)  # before: nothing is missed in between
    print_result(evermodel.publish(name, to=to, version=version, registry=registry, **options), as_json)
    while not once:
        time.sleep(FOLLOW_SECONDS)
        service = read_service(name, registry=registry)
        if service != served:
            print_result(evermodel.publish(name, to=to, registry=registry, **options), as_json)
            served = service
