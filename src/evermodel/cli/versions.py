"""The commands about versions and what happened: ``promote``, ``rollback``, ``list``, ``show``, ``log``, …"""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("name")
@click.argument("version")
@add_shared_options
def promote(name: str, version: str, registry: str | None, as_json: bool) -> None:
    """Put a version in service, whatever its verdict was.

    \b
    Example:
      evermodel promote churn v3
    """
    print_result(evermodel.promote(name, version, registry=registry), as_json)


@click.command(cls=Command)
@click.argument("name")
@click.option("--to", metavar="VERSION", help="Roll back to this version instead of the one before.")
@add_shared_options
def rollback(name: str, to: str | None, registry: str | None, as_json: bool) -> None:
    """Put the version back in service that served before.

    \b
    Example:
      evermodel rollback churn
    """
    print_result(evermodel.rollback(name, to=to, registry=registry), as_json)


@click.command(name="list", cls=Command)
@add_shared_options
def list_(registry: str | None, as_json: bool) -> None:
    """List all models with their versions in service.

    \b
    Example:
      evermodel list
    """
    print_result(evermodel.models(registry=registry), as_json)


@click.command(cls=Command)
@click.argument("name")
@click.argument("version", required=False)
@add_shared_options
def show(name: str, version: str | None, registry: str | None, as_json: bool) -> None:
    """Show the versions of a model, or all that is recorded about one version.

    \b
    Example:
      evermodel show churn v2
    """
    print_result(evermodel.show(name, version, registry=registry), as_json)


@click.command(cls=Command)
@click.argument("name")
@add_shared_options
def log(name: str, registry: str | None, as_json: bool) -> None:
    """Show every event of a model, oldest first, with its reason.

    \b
    Example:
      evermodel log churn
    """
    print_result(evermodel.log(name, registry=registry), as_json)


@click.command(cls=Command)
@click.argument("name")
@click.option("--since", metavar="AGE|DATE", help="Only what happened since: 7d, 12h, 2026-03-01.")
@add_shared_options
def history(name: str, since: str | None, registry: str | None, as_json: bool) -> None:
    """Show one timeline of a model: what happened, when, why, and which version served afterwards.

    \b
    Example:
      evermodel history churn --since 30d
    """
    print_result(evermodel.history(name, since=since, registry=registry), as_json)


@click.command(cls=Command)
@click.argument("name")
@click.argument("version", required=False)
@click.option("--to", default="report.html", show_default=True, metavar="FILE", help="The HTML file to write.")
@click.option(
    "--explanation/--no-explanation",
    default=True,
    show_default=True,
    help="Say what it does differently from the version it was made from; loads both models.",
)
@add_shared_options
def report(name: str, version: str | None, registry: str | None, as_json: bool, **options: Any) -> None:
    """Write one self-contained HTML page about a version: verdict, scores, curves, explanation, changes in the data.

    Without VERSION it is about the one in service; "newest" is the one stored last.

    \b
    Example:
      evermodel report churn --to report.html
      evermodel report churn newest
    """
    print_result(evermodel.report(name, version, registry=registry, **options), as_json)
