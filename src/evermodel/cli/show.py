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


@contextmanager
def resumable() -> Iterator[None]:
    """Says how to go on where Ctrl-C ended a command that keeps what it finished."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped. What was finished is kept: the same command with --resume goes on.", err=True)
        raise SystemExit(130) from None


def trials_heard(*, quiet: bool) -> Callable[[Any], None]:
    """Shows each finished trial on stderr, a line each."""
    best = float("-inf")

    def hear(trial: Any) -> None:
        nonlocal best
        best = max(best, trial.score) if trial.state == "whole" else best
        if not quiet:
            click.echo(_trial_line(trial, best), err=True)

    return hear


def points_heard(*, quiet: bool) -> Callable[[Any], None]:
    """Shows each size that pruning tried on stderr, a line each."""

    def hear(point: Any) -> None:
        if not quiet:
            sizes = f"latency x{point.latency:.2f}  size x{point.size:.2f}"
            click.echo(f"ratio {point.ratio:<6g} {sizes}  {point.score:.4f}", err=True)

    return hear


def _trial_line(trial: Any, best: float) -> str:
    state = {"whole": f"{trial.score:.4f}", "stopped": f"{trial.score:.4f} given up", "failed": "failed"}[trial.state]
    values = "  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in trial.values.items())
    note = f"  ({trial.note})" if trial.note else ""
    return f"trial {trial.number:<4} {state:<16} best {best:.4f}  {trial.epochs} epochs  {values}{note}"
