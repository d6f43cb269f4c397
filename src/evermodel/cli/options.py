"""Options that several commands share, and how their text is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from evermodel.core.errors import BadSetting

F = TypeVar("F", bound=Callable[..., Any])
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def home_and_json(command: F) -> F:
    command = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)
    return click.option("--home", help="Where models are kept [EVERMODEL_HOME, or .evermodel here].")(command)


def adopt_options(command: F) -> F:
    """What must be known of a model file and its rows."""
    for option in reversed(
        (
            click.option("--target", help="The column that holds the label."),
            click.option("--name", "name" if command.__name__ == "adopt" else "called", help="Else the file's stem."),
            click.option("--task", default="auto", show_default=True, help="binary, multiclass or regression."),
            click.option("--time", help="The column that orders the rows; else their order in the file."),
            click.option("--entity", help="The column that says which rows hang together (a user, a track)."),
            click.option("--weight", help="The column of row weights."),
            click.option("--inputs", callback=_listed, help="The model's input columns in its order: A,B,C."),
            click.option("--drop", callback=_listed, help="Columns that are no inputs: A,B."),
            click.option("--slices", callback=_listed, help="Columns whose groups must not be harmed: A,B."),
            click.option("--transform", help="The model's own scaler: JSON, .transform.json or .skops."),
            click.option("--trust", metavar="FILE", help="Unpickle this file: only if you made it yourself."),
            click.option("--factory", metavar="MODULE:FUNCTION", help="Builds the module of a safetensors file."),
            click.option("--shuffled", is_flag=True, help="The order of the rows means nothing."),
        )
    ):
        command = option(command)
    return command


def _listed(context: Any, parameter: Any, value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if value else ()


def parsed_settings(given: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE, each once."""
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadSetting(f"--set takes KEY=VALUE. Got {text!r}.")
        found[key.strip()] = value.strip()
    return found


def seconds(text: str | None) -> float | None:
    """60, 60s, 10m, 1h -> seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match or not float(match[1]):
        raise BadSetting(f"--budget must be a time such as 60s, 10m or 1h. Got {text!r}.")
    return float(match[1]) * UNITS[match[2]]
