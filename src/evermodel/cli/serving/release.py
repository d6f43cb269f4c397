"""``evermodel release``: a version is tried in service, and put there by what labels show."""

from __future__ import annotations

import re

import click

import evermodel
from evermodel.cli.command import Command
from evermodel.cli.options import add_shared_options
from evermodel.cli.output import print_result
from evermodel.core.errors import BadSetting

EXIT_CODES = {"better": 0, "undecided": 10, "worse": 11}
PHASE_CODES = {"promoted": 0, "running": 10, "rolled back": 11, "aborted": 11}
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%")


@click.command(cls=Command)
@click.argument("name")
@click.argument("version", required=False)
@click.option("--apply", is_flag=True, help="Put the version in service if it is better.")
@click.option("--canary", metavar="5%", help="Answer this share of the requests, which grows by itself.")
@click.option("--status", is_flag=True, help="Show where the release stands that --canary began.")
@click.option("--abort", is_flag=True, help="End it: the version in service answers everything again.")
@add_shared_options
def release(
    name: str,
    version: str | None,
    apply: bool,
    canary: str | None,
    status: bool,
    abort: bool,
    registry: str | None,
    as_json: bool,
) -> None:
    """Say whether a version that serve tried as a shadow or canary is better, by the labels that came.

    With --canary the version answers a growing share of the requests: 1, 5 and 25 %, each until enough labels came.
    Then it serves, once it is shown to be no worse. It is taken back by itself as soon as it is shown to be worse, or
    fails.

    Exit code 0: better, or in service; 10: not decided yet; 11: worse, or taken back. It may be asked as often as one
    likes.

    \b
    Example:
      evermodel release churn v3 --canary 1%
      evermodel release churn --status
    """
    if apply + status + abort + (canary is not None) > 1:
        raise click.UsageError("--apply, --canary, --status and --abort are four requests: give one of them.")
    if status or abort:
        if version is not None:
            raise click.UsageError("--status and --abort are about the newest release: leave VERSION out.")
        result = (evermodel.abort_release if abort else evermodel.show_release)(name, registry=registry)
        print_result(result, as_json)
        raise SystemExit(0 if abort else PHASE_CODES[result.release.phase.value])
    if version is None:
        raise click.UsageError("Name the VERSION.")
    if canary is not None:
        found = evermodel.begin_release(name, version, share=_read_share(canary), registry=registry)
        print_result(found, as_json)
        return
    verdict = evermodel.release(name, version, apply=apply, registry=registry)
    print_result(verdict, as_json)
    raise SystemExit(EXIT_CODES[verdict.outcome])


def _read_share(text: str) -> float:
    match = _SHARE.fullmatch(text.strip())
    if match is None:
        raise BadSetting(f"`canary` must be a share such as 5%. Got {text[:40]!r}.")
    return float(match[1]) / 100.0
