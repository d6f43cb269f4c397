"""Errors about unknown arguments name the argument that was probably meant."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
CLOSE = 0.75  # similarity from which an argument's name is taken for a misspelling


def suggest_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """The same function; an unknown keyword argument raises a TypeError that names the nearest argument.

    Where the function has ``settings``, an argument that resembles no other is taken for a setting of the strategy:
    ``update(rows, epochs=3)`` is answered by ``settings={'epochs': 3}``.

    Example:
        >>> @suggest_arguments
        ... def scale(values, *, factor=1.0): ...
        >>> scale([1, 2], facotr=2.0)
        Traceback (most recent call last):
        ...
        TypeError: scale() has no argument 'facotr'. Did you mean 'factor'?
    """
    signature = inspect.signature(function)
    keywords = [p.name for p in signature.parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        unknown = [] if takes_any else [name for name in kwargs if name not in keywords]
        if unknown:
            raise TypeError(_describe(function.__name__, unknown[0], kwargs[unknown[0]], keywords))
        return function(*args, **kwargs)

    return call


def _describe(function: str, name: str, value: object, keywords: list[str]) -> str:
    problem = f"{function}() has no argument {name!r}."
    public = [k for k in keywords if k != "self"]
    near = difflib.get_close_matches(name, public, n=1, cutoff=CLOSE)
    if near:
        return f"{problem} Did you mean {near[0]!r}?"
    if "settings" in keywords:
        return f"{problem} If it is a setting of the strategy, write settings={{{name!r}: {value!r}}}."
    return f"{problem} It has: {', '.join(public)}."
