"""Runs the checks of a kind of plugin, and checks what every function with settings promises."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal

from evermodel.core.errors import EvermodelError
from evermodel.core.settings import settings_of

KINDS_OF_SETTINGS = (int, float, bool, str)


def run_checks(checks: Sequence[Callable[..., None]], kind: str, name: str, *arguments: Any) -> int:
    """Calls every check with the arguments; returns how many ran.

    Raises AssertionError that names the plugin, the check and the promise that is broken, and says what was found.
    """
    for check in checks:
        try:
            check(*arguments)
        except AssertionError as error:
            promise = " ".join((check.__doc__ or "").split())
            raise AssertionError(
                f"The {kind} {name!r} breaks {check.__name__}: {promise} Found: {error or 'it does not hold'}"
            ) from error
        except EvermodelError as error:
            raise AssertionError(
                f"The {kind} {name!r} does not get through {check.__name__}: {type(error).__name__}: {error}"
            ) from error
    return len(checks)


def check_function_signature(function: Any, positional: int) -> None:
    """So many arguments before the slash; every other parameter is a setting: keyword-only, typed, with a default.

    The default lies within the setting's own bounds or among its choices, None only where None is allowed. A
    parameter ``**settings`` would take any misspelt name, so it is not allowed.
    """
    parameters = list(inspect.signature(function).parameters.values())
    before = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
    assert len(before) == positional, f"{len(before)} arguments before the slash instead of {positional}"
    others = [p for p in parameters if p.kind not in (p.POSITIONAL_ONLY, p.KEYWORD_ONLY)]
    assert not others, f"{', '.join(map(str, others))} stands neither before a slash nor behind a star"
    hints = typing.get_type_hints(function)
    for setting in settings_of(function):
        assert setting.name in hints, f"the setting {setting.name!r} has no type"
        choices = typing.get_args(setting.kind) if typing.get_origin(setting.kind) is Literal else None
        typed = choices is not None or setting.kind in KINDS_OF_SETTINGS
        assert typed, f"the setting {setting.name!r} is of the type {setting.kind}, which no command line can give"
        assert setting.default is not inspect.Parameter.empty, f"the setting {setting.name!r} has no default"
        if setting.default is None:
            assert setting.optional, f"the setting {setting.name!r} is None by default and must have a value"
        elif choices is not None:
            assert setting.default in choices, f"{setting.name} is {setting.default!r} by default, not one of {choices}"
        else:
            right = isinstance(setting.default, (int, float) if setting.kind is float else setting.kind)
            assert right, f"{setting.name} is {setting.default!r} by default, which is no {setting.kind.__name__}"
            inside = setting.bounds is None or setting.default in setting.bounds
            assert inside, f"{setting.name} is {setting.default!r} by default, outside of {setting.bounds}"


def check_docstring_has_an_example(function: Any) -> None:
    """The docstring says what the plugin does, and shows a command that uses it: a line "$ evermodel …"."""
    text = inspect.getdoc(function) or ""
    assert text.strip(), "there is no docstring"
    assert "$ evermodel " in text, "the docstring shows no command"
