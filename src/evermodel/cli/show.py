"""Prints results, and epochs while they happen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

EXIT = {"promote": 0, "hold": 10, "reject": 11, "invalid": 12}


def say(result: Any, as_json: bool) -> None:
    click.echo(result.to_json() if as_json else str(result))


def finish(decision: str) -> None:
    """Ends with the exit code of a decision."""
    raise SystemExit(EXIT[decision])


@contextmanager
def epochs(*, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Shows each epoch's loss and score on stderr: one line that renews itself on a terminal, lines elsewhere."""
    live = sys.stderr.isatty() and not quiet

    def hear(epoch: Any) -> None:
        if not quiet:
            click.echo(("\r\x1b[K" if live else "") + _line(epoch), err=True, nl=not live)

    try:
        yield hear
    finally:
        if live:
            click.echo("\r\x1b[K", err=True, nl=False)


def _line(epoch: Any) -> str:
    parts = [f"epoch {epoch.number:<4} loss {epoch.loss:.4f}"]
    if epoch.score is not None:
        parts.append(f"score {epoch.score:.4f}")
    if epoch.validation_loss is not None:
        parts.append(f"validation loss {epoch.validation_loss:.4f}")
    if epoch.validation_score is not None:
        parts.append(f"score {epoch.validation_score:.4f}")
    return "  ".join(parts)
