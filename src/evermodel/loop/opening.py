"""A model from a file or a live object: the framework that knows it, found by looking, not by importing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evermodel.core import plugs
from evermodel.core.errors import BadModel, MissingExtra, NotFound
from evermodel.core.framework import Framework


def open_model(source: Any, *, trust: str | Path | None = None, factory: str | None = None) -> tuple[Any, Framework]:
    """The model object and its framework. A file is a stranger's: nothing in it is executed unless ``trust`` names it.

    Raises BadModel, listing the kinds there are, Unsafe for a file that would run code, MissingExtra.
    """
    if not isinstance(source, (str, Path)):
        framework: Framework = _owner(source)
        taken = getattr(framework, "taken", None)  # a live object in the form that is cheap to keep asking
        return (source if taken is None else taken(source)), framework
    path = Path(source).expanduser()
    try:
        path.stat()
    except (ValueError, OSError, RuntimeError) as error:  # nothing there, NUL in it, too long, a loop of links
        why = "" if isinstance(error, FileNotFoundError) else f" ({getattr(error, 'strerror', None) or error})"
        raise NotFound(f"There is no model file {str(path)[:200]!r}{why}.", "Give the path of a file.") from None
    if path.is_file() and path.stat().st_size == 0:
        raise BadModel(f"{path.name} is empty (0 bytes).", "Copy the file again.")
    trusted = trust is not None and Path(trust).expanduser().resolve() == path.resolve()
    for name in plugs.names("frameworks"):
        framework = plugs.module("frameworks", name)
        if framework.opens(path):
            return _read(framework, path, trusted, factory), framework
    raise BadModel(f"{path.name} is no model file we know.", _kinds())


def framework_of(source: Any) -> Framework | None:
    """The framework that knows a file or a live object, by its look alone; None if none does."""
    if not isinstance(source, (str, Path)):
        return _owner(source)
    path = Path(source).expanduser()
    known = (plugs.module("frameworks", name) for name in plugs.names("frameworks"))
    return next((f for f in known if path.is_file() and path.stat().st_size and f.opens(path)), None)


def _read(framework: Framework, path: Path, trusted: bool, factory: str | None) -> Any:
    try:
        return framework.read(path, trust=trusted, factory=factory)
    except ModuleNotFoundError as error:
        package = str(error.name)
        raise MissingExtra.for_package(package, framework.EXTRA, f"Reading {path.name}") from None


def _owner(obj: Any) -> Framework:
    for name in plugs.names("frameworks"):
        framework: Framework = plugs.module("frameworks", name)
        if framework.owns(obj):
            return framework
    raise BadModel(f"A {type(obj).__module__}.{type(obj).__name__} is no model we know.", _kinds())


def _kinds() -> str:
    named = plugs.names("frameworks")
    known = [f"{name} ({', '.join(plugs.module('frameworks', name).suffixes())})" for name in named]
    return "We know: " + "; ".join(known) + "."
