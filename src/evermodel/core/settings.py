"""Reads a plugin's settings from its own signature: what stands after the ``*`` is its settings."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from evermodel.core.errors import BadSetting


@dataclass(frozen=True)
class In:
    """Bounds of a number, both included; None is open. ``log`` tells a tuner to search on a logarithmic scale."""

    low: float | None = None
    high: float | None = None
    log: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        return f"[{'-inf' if self.low is None else self.low}, {'inf' if self.high is None else self.high}]"


@dataclass(frozen=True)
class Setting:
    """One setting of a plugin, as its signature declares it."""

    name: str
    kind: Any  # int, float, bool, str, or a Literal
    default: Any
    bounds: In | None = None
    optional: bool = False


def settings_of(plugin: Callable[..., Any]) -> tuple[Setting, ...]:
    """The settings of a plugin in the order of its signature: the keyword-only parameters."""
    return _settings(plugin)


@cache
def _settings(plugin: Any) -> tuple[Setting, ...]:
    hints = typing.get_type_hints(plugin, include_extras=True)
    parameters = inspect.signature(plugin).parameters.values()
    return tuple(_setting(p, hints.get(p.name, str)) for p in parameters if p.kind is p.KEYWORD_ONLY)


def read_settings(plugin: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Checks ``given`` (values or their text, as from a command line) against the plugin's signature.

    Returns only what was given, with the right types. Raises BadSetting, naming the rule and the value.
    """
    known = {s.name: s for s in settings_of(plugin)}
    for name in given:
        if name not in known:
            there_is = ", ".join(known) or "none"
            raise BadSetting(f"{plugin.__name__} has no setting {name!r}.", f"Its settings: {there_is}.")
    return {name: _value(known[name], value) for name, value in given.items()}


def _setting(parameter: inspect.Parameter, hint: Any) -> Setting:
    bounds = None
    if get_origin(hint) is Annotated:
        hint, *extra = get_args(hint)
        bounds = next((e for e in extra if isinstance(e, In)), None)
    optional = False
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [a for a in get_args(hint) if a is not type(None)]
        optional, hint = len(kinds) < len(get_args(hint)), kinds[0]
    return Setting(parameter.name, hint, parameter.default, bounds, optional)


def _value(setting: Setting, given: Any) -> Any:
    if given is None or (setting.optional and isinstance(given, str) and given.lower() == "none"):
        if setting.optional:
            return None
        raise BadSetting(f"{setting.name} must have a value. Got {given!r}.", f"{setting.default!r} is the default.")
    if get_origin(setting.kind) is Literal:
        choices = get_args(setting.kind)
        if given in choices:
            return given
        raise BadSetting(f"{setting.name} must be one of {', '.join(map(repr, choices))}. Got {given!r}.")
    value = _converted(setting, given)
    if setting.bounds is not None and value not in setting.bounds:
        raise BadSetting(
            f"{setting.name} must be in {setting.bounds}. Got {given!r}.", f"{setting.default!r} is the default."
        )
    return value


def _converted(setting: Setting, given: Any) -> Any:
    try:
        if setting.kind is bool:
            if isinstance(given, bool):
                return given
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(given).lower()]
        if setting.kind is int and float(given) != int(float(given)):
            raise ValueError
        return int(float(given)) if setting.kind is int else setting.kind(given)
    except (ValueError, TypeError, KeyError, OverflowError):
        kind = {int: "a whole number", float: "a number", bool: "true or false"}.get(setting.kind, str(setting.kind))
        raise BadSetting(f"{setting.name} must be {kind}. Got {given!r}.") from None
