"""What every command does alike: sets up logging, and says known errors in the words of the command line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import IO, Any

import click

from evermodel.core.errors import EvermodelError
from evermodel.core.masking import SafeFormatter, make_printable

LEVELS = ("debug", "info", "warning", "error")
ARGUMENT = re.compile(r"`(\w+)`")  # how the messages of errors name an argument
logger = logging.getLogger("evermodel")


class Command(click.Command):
    """A command with ``-v/--verbose`` and ``--log-level``; a known error ends it with one sentence, not a traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(
                ["-v", "--verbose"],
                count=True,
                expose_value=False,
                callback=_configure_verbosity,
                help="Log what is done to stderr, and show the traceback of an unexpected error; -vv logs everything.",
            ),
            click.Option(
                ["--log-level"],
                type=click.Choice(LEVELS),
                expose_value=False,
                callback=_configure_level,
                help="Log messages of this level and above to stderr.  [default: warning]",
            ),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EvermodelError as error:
            raise KnownError(error, self) from error


class KnownError(click.ClickException):
    """An error whose cause is known, as the command line says it. Exit code 2 for a wrong request, 1 for a failure."""

    def __init__(self, error: EvermodelError, command: click.Command) -> None:
        super().__init__(name_options(str(error), option_names(command)))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it off the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error to stderr."""
        click.echo(make_printable(f"evermodel: {self.message}"), file=file or sys.stderr)


def option_names(command: click.Command) -> dict[str, str]:
    """Argument of the Python function -> the option of the command that gives it: ``strategy`` -> ``--with``."""
    options = [p for p in command.params if isinstance(p, click.Option)]
    return {str(p.name): max(p.opts, key=len) for p in options}


def name_options(text: str, options: Mapping[str, str]) -> str:
    """The text of an error with its `arguments` named as the command line does; others lose their marks.

    Example:
        >>> name_options("`strategy` must be a name. Give `labels`.", {"strategy": "--with"})
        '--with must be a name. Give labels.'
    """
    return ARGUMENT.sub(lambda match: options.get(match[1], match[1]), text)


def _configure_verbosity(context: click.Context, parameter: click.Parameter, count: int) -> None:
    if count:
        _configure_logging(logging.INFO if count == 1 else logging.DEBUG)


def _configure_level(context: click.Context, parameter: click.Parameter, level: str | None) -> None:
    if level is not None:
        _configure_logging(logging.getLevelNamesMapping()[level.upper()])


def _configure_logging(level: int) -> None:
    """Logs to stderr, so that stdout stays one JSON document. The only place where logging is set up."""
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.handlers = [handler]
    logger.setLevel(level)
