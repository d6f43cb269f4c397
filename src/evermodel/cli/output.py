"""Prints results, and what happens meanwhile: epochs, trials and sizes, as lines on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from evermodel.core.masking import make_printable

if TYPE_CHECKING:
    from evermodel.core.records.learning_curve import Epoch
    from evermodel.core.records.search_record import PruningTrial, Trial
    from evermodel.registry.results import Result

EXIT_CODES = {"promote": 0, "hold": 10, "reject": 11, "invalid": 12}


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Prints text in which names out of files may stand: their control characters are shown, not obeyed."""
    click.echo(make_printable(text), err=err, nl=nl)


def print_result(result: Result, as_json: bool) -> None:
    """The result on stdout: a few lines, or one JSON document."""
    echo(result.to_json() if as_json else str(result))


def exit_with(decision: str) -> NoReturn:
    """End the command with the exit code of a decision."""
    raise SystemExit(EXIT_CODES[decision])


@contextmanager
def print_epochs(*, quiet: bool) -> Iterator[Callable[[Epoch], None]]:
    """Prints the loss and score of each epoch: one line that renews itself on a terminal; lines elsewhere with -v."""
    is_live = sys.stderr.isatty() and not quiet
    is_printed = not quiet and (is_live or logging.getLogger("evermodel").isEnabledFor(logging.INFO))

    def on_epoch(epoch: Epoch) -> None:
        if is_printed:
            click.echo(("\r\x1b[K" if is_live else "") + _epoch_line(epoch), err=True, nl=not is_live)

    try:
        yield on_epoch
    finally:
        if is_live:
            click.echo("\r\x1b[K", err=True, nl=False)


@contextmanager
def explain_resume() -> Iterator[None]:
    """Where Ctrl-C ends a command that keeps what it finished, says how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped. What was finished is kept: the same command with --resume continues.", err=True)
        raise SystemExit(130) from None


def trial_printer(*, quiet: bool) -> Callable[[Trial], None]:
    """A function that prints each finished trial of a search, a line each."""
    best = float("-inf")

    def on_trial(trial: Trial) -> None:
        nonlocal best
        best = max(best, trial.score) if trial.state == "whole" else best
        if not quiet:
            echo(_trial_line(trial, best), err=True)

    return on_trial


def size_printer(*, quiet: bool) -> Callable[[PruningTrial], None]:
    """A function that prints each size that pruning tried, a line each."""

    def on_point(point: PruningTrial) -> None:
        if not quiet:
            cost = f"latency x{point.latency:.2f}  size x{point.size:.2f}"
            click.echo(f"ratio {point.ratio:<6g} {cost}  {point.score:.4f}", err=True)

    return on_point


def _epoch_line(epoch: Epoch) -> str:
    which = ", ".join(name for name in (epoch.training, epoch.member) if name)
    parts = [f"{which + ': ' if which else ''}epoch {epoch.number:<4} loss {epoch.loss:.4f}"]
    if epoch.score is not None:
        parts.append(f"score {epoch.score:.4f}")
    if epoch.validation_loss is not None:
        parts.append(f"validation loss {epoch.validation_loss:.4f}")
    if epoch.validation_score is not None:
        parts.append(f"validation score {epoch.validation_score:.4f}")
    return "  ".join(parts)


def _trial_line(trial: Trial, best: float) -> str:
    states = {"whole": f"{trial.score:.4f}", "stopped": f"{trial.score:.4f} stopped early", "failed": "failed"}
    values = "  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in trial.values.items())
    note = f"  ({trial.note})" if trial.note else ""
    return f"trial {trial.number:<4} {states[trial.state]:<20} best {best:.4f}  {trial.epochs} epochs  {values}{note}"
