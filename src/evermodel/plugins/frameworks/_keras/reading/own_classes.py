"""Layers, losses, metrics and models of the user's own: which names in a file stand for them, and where they come from.

A file says a class by its registered name ("acme>Gate") or by its bare name; both are looked up in the Python files
that the user trusts, and nowhere else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from evermodel.core.model.user_code import UserCode, find_code, is_any_imported

KERAS = re.compile(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.[A-Za-z0-9_]+)*")
_registering = threading.RLock()  # Keras has one list of registered classes for the whole process
_names: ContextVar[Mapping[str, Any] | None] = ContextVar("names of the user's own classes", default=None)


@contextmanager
def use_code(code: UserCode | None) -> Iterator[None]:
    """Inside, the classes and functions of ``code`` are found by name, here and by Keras itself.

    What the process registered with Keras under such a name would win over a scope, so it is put aside meanwhile.
    """
    if code is None:
        yield
        return
    import keras

    registered = keras.saving.get_custom_objects()
    with _registering:
        before = dict(registered)
        names = _list_names(code)  # a decorator in the files registers their classes
        token = _names.set(names)
        try:
            registered.update(names)
            with keras.saving.custom_object_scope(dict(names)):
                yield
        finally:
            _names.reset(token)
            registered.clear()
            registered.update(before)


@contextmanager
def use_code_of(model: Any) -> Iterator[None]:
    """Inside, the classes that ``model`` is made of can be made anew from their settings."""
    if not is_any_imported():
        yield
        return
    with use_code(find_user_code(model)):
        yield


def _list_names(code: UserCode) -> dict[str, Any]:
    import keras

    names = code.list_names()
    return {**names, **{keras.saving.get_registered_name(value): value for value in names.values()}}


def find_name(value: Mapping[str, Any]) -> str | None:
    """The name under which Keras finds what a configuration names, if it is the user's own; None if it is not."""
    known = _names.get()
    if known is None:
        return None
    module = value.get("module")
    if isinstance(module, str) and KERAS.fullmatch(module):
        return None
    config = value.get("config")
    words = (value.get("registered_name"), config, value["class_name"])
    for word in words if value["class_name"] == "function" else (words[0], words[2]):
        if isinstance(word, str) and word in known:
            return word
        if isinstance(word, str) and word.rpartition(">")[2] in known:
            return word.rpartition(">")[2]
    return None


def find_user_code(model: Any) -> UserCode | None:
    """The user's own files that a network's layers, loss and metrics come from; None where all is built in."""
    parts: list[Any] = [model, *model._flatten_layers(include_self=False)]
    for layer in list(parts):
        parts += [value for value in vars(layer).values() if callable(value)]  # activations, initializers
    if getattr(model, "compiled", False):
        parts += [model.loss, model.optimizer]
        config = getattr(model, "_compile_config", None)
        given = {} if config is None else dict(config.config)
        parts += [one for key in ("loss", "metrics", "weighted_metrics") for one in _flatten(given.get(key))]
    return find_code(part for part in parts if part is not None and not isinstance(part, (str, dict, list)))


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _flatten(one)
    elif value is not None:
        yield value
