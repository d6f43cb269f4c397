"""The model inside of what a trusted pickle holds: a dict, a list or an object that carries it as a part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evermodel.core.errors import BadModel, BadSetting, NotFound
from evermodel.core.model.capabilities import StepJoining
from evermodel.core.model.framework import FRAMEWORKS, Framework

MOST_SHOWN = 12


def find_owner(obj: Any) -> Framework | None:
    """The framework that knows a live object; None if none does."""
    return next((framework for _, framework in FRAMEWORKS.usable() if framework.is_model(obj)), None)


def pick_object(obj: Any, path: str | None, name: str) -> Any:
    """The part of ``obj`` at ``path``: keys, positions or attributes with points between; A,B joins steps in order.

    Raises NotFound for a part that is not there, BadModel for a collection of which no part was named.
    """
    if path is None:
        if isinstance(obj, (Mapping, list, tuple)):
            raise BadModel(
                f"{name} holds a {type(obj).__name__} of {_describe_parts(obj)}.",
                f"Name the part that is the model, as `object_path` {_suggest(obj)}; or the steps in order, A,B.",
            )
        return obj
    parts = [_follow(obj, step.strip(), name) for step in path.split(",") if step.strip()]
    if not parts:
        raise BadSetting("`object_path` names no part.", "Write it as KEY, as KEY.ATTRIBUTE or as FIRST,LAST.")
    if len(parts) == 1:
        return parts[0]
    framework = find_owner(parts[-1])
    if not isinstance(framework, StepJoining):
        raise BadModel(f"A {type(parts[-1]).__name__} cannot be the last of several steps.", "Name the model alone.")
    return framework.join_steps(parts)


def describe_rest(obj: Any, path: str, name: str) -> str | None:
    """A note of what lies beside the parts at ``path`` and is left out, such as a threshold; None if nothing does."""
    taken = {step.strip().split(".")[0] for step in path.split(",")}
    own = vars(obj).items() if hasattr(obj, "__dict__") and find_owner(obj) is None else ()
    rest = [(key, part) for key, part in (*_list_parts(obj), *own) if key not in taken]
    if not rest:
        return None
    shown = ", ".join(f"{key!r} ({_describe_part(part)})" for key, part in rest[:MOST_SHOWN])
    more = ", …" if len(rest) > MOST_SHOWN else ""
    return f"{name} also holds {shown}{more}: it is not used, and the answers are those of {path} alone"


def _describe_part(part: Any) -> str:
    return str(part) if isinstance(part, (bool, int, float)) else type(part).__name__


def _follow(obj: Any, path: str, name: str) -> Any:
    for word in path.split("."):
        known = dict(_list_parts(obj))
        if word in known:
            obj = known[word]
        elif hasattr(obj, "__dict__") and word in vars(obj):
            obj = vars(obj)[word]
        else:
            raise NotFound.among(f"part of the {type(obj).__name__} in {name}", word, known)
    return obj


def _list_parts(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, Mapping):
        yield from ((str(key), value) for key, value in obj.items())
    elif isinstance(obj, (list, tuple)):
        yield from ((str(at), value) for at, value in enumerate(obj))


def _describe_parts(obj: Any) -> str:
    parts = list(_list_parts(obj))
    shown = ", ".join(f"{name!r} ({type(part).__name__})" for name, part in parts[:MOST_SHOWN])
    return (shown or "nothing") + (", …" if len(parts) > MOST_SHOWN else "")


def _suggest(obj: Any) -> str:
    return next((name for name, part in _list_parts(obj) if find_owner(part) is not None), "NAME")
