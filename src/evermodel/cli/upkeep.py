"""The commands that keep a registry whole: ``doctor``, ``gc``, ``backup``, ``restore``, ``reproduce``."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options, grace_option, json_option, parse_age
from evermodel.cli.output import print_result


@click.command(cls=Command)
@click.argument("name", required=False)
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option("--from", "source", metavar="BACKUP", help="A backup to take whole files and rows from.")
@click.option("--network", is_flag=True, help="Also ask the https addresses in policies for their certificates.")
@click.option("--prometheus", metavar="URL", help="Also ask this server whether it scrapes the models.")
@grace_option
@add_shared_options
def doctor(name: str | None, registry: str | None, as_json: bool, **options: Any) -> None:
    """Check that files, names, the database and packages are whole, and that champions load and predict as before.

    Exit code 0: healthy, 1: something is wrong (with --repair: still).

    \b
    Example:
      evermodel doctor
      evermodel doctor churn --repair --from /backups/models.tar
    """
    result = evermodel.doctor(name, registry=registry, **options)
    print_result(result, as_json)
    raise SystemExit(0 if result.healthy else 1)


@click.command(cls=Command)
@click.option("--keep-versions", type=int, help="Remove files of versions beyond the newest N of a model.")
@click.option("--older-than", callback=parse_age, metavar="AGE", help="Remove files of versions older than this: 90d.")
@grace_option
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@add_shared_options
def gc(registry: str | None, as_json: bool, **options: Any) -> None:
    """Remove files that nothing refers to; with a limit, files of old versions too. Cards and events always stay.

    Never removed: what a name, a policy, a monitor, remembered rows or the last decision refers to, its parents, and
    the version that a rollback would put back in service.

    \b
    Example:
      evermodel gc --keep-versions 5 --older-than 90d --dry-run
    """
    print_result(evermodel.gc(registry=registry, **options), as_json)


@click.command(cls=Command)
@click.option("--to", required=True, metavar="PATH", help="A new folder, .tar or .tar.gz file.")
@add_shared_options
def backup(to: str, registry: str | None, as_json: bool) -> None:
    """Write a whole registry into one place, while others go on working. Exit code 1: something it needs was damaged.

    \b
    Example:
      evermodel backup --to /backups/models.tar
    """
    result = evermodel.backup(to=to, registry=registry)
    print_result(result, as_json)
    raise SystemExit(1 if result.lacking else 0)


@click.command(cls=Command)
@click.argument("source")
@click.option(
    "--to", required=True, metavar="REGISTRY", help="A new or empty folder; its store.toml may name another place."
)
@json_option
def restore(source: str, to: str, as_json: bool) -> None:
    """Make a registry of a backup, on this kind of database or another. Exit code 1: the backup lacked something.

    \b
    Example:
      evermodel restore /backups/models.tar --to /srv/models
    """
    result = evermodel.restore(source, to=to)
    print_result(result, as_json)
    raise SystemExit(1 if result.lacking else 0)


@click.command(cls=Command)
@click.argument("name")
@click.argument("version")
@click.option("--restore", is_flag=True, help="Put damaged files back where the new ones are bit for bit the same.")
@click.option("--to", metavar="FOLDER", help="Also write the version into a new folder.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-5,
    show_default=True,
    help="How far golden predictions may differ, in units of the largest.",
)
@add_shared_options
def reproduce(name: str, version: str, registry: str | None, as_json: bool, **options: Any) -> None:
    """Build a version again from its card, and compare: bit for bit, or how far its golden predictions differ.

    Exit code 0: the same, bit for bit or within the tolerance, 1: not, or nothing to compare with.

    \b
    Example:
      evermodel reproduce churn v3 --restore
    """
    result = evermodel.reproduce(name, version, registry=registry, **options)
    print_result(result, as_json)
    raise SystemExit(0 if result.within else 1)
