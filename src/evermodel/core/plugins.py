"""Finds plugins. A plugin is one file in the folder of its kind, or an entry point of another package.

The file is the registration: ``plugins/strategies/replay.py`` is the strategy "replay". Another package adds a plugin
of a kind by an entry point of the group ``evermodel.<kind>`` whose name is the plugin's name and whose value is the
plugin's module::

    [project.entry-points."evermodel.metrics"]
    median_error = "my_package.median_error"

Each kind is declared once, as a constant beside the protocol that its plugins follow: ``METRICS`` in
``core/stats/metric.py``, ``FRAMEWORKS`` in ``core/model/framework.py``. Listing names imports no plugin. A plugin that
cannot be imported, or lacks a name that its kind needs, raises BrokenPlugin when it is used, and only then.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import pkgutil
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import cache
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar, cast

from evermodel.core.errors import BrokenPlugin, NotFound

logger = logging.getLogger(__name__)

M = TypeVar("M")  # protocol of the plugin's module
F = TypeVar("F")  # protocol of the plugin's function


class Confidence(IntEnum):
    """How sure a plugin is that a file or a location is one of its own. The surest plugin opens it."""

    NO = 0
    POSSIBLE = 1  # the suffix fits, and the contents do not speak against it
    CERTAIN = 2  # the contents say so


class ModuleKind(Generic[M]):
    """A kind whose plugin is a module of several functions, described by a protocol: a framework, for example."""

    def __init__(self, name: str, protocol: type, *, package: str = "") -> None:
        """``package``: where our own plugins of the kind are; ``evermodel.plugins.<name>`` unless given."""
        self.name = name
        self.package = package or f"evermodel.plugins.{name}"
        self._required = _members(protocol)

    def names(self) -> tuple[str, ...]:
        """The names of all plugins of this kind, ours and those of other packages, sorted. Imports none of them."""
        return tuple(sorted({*_own_names(self.package), *_entry_points().get(self.name, {})}))

    def load_module(self, name: str) -> M:
        """The module of the plugin ``name``. Raises NotFound, listing the names there are, or BrokenPlugin."""
        if name not in self.names():
            raise NotFound.among(f"plugin of the kind {self.name!r} named", name, self.names())
        module = _load(self.name, self.package, name)
        if isinstance(module, BrokenPlugin):
            raise module
        missing = [member for member in self._required if not hasattr(module, member)]
        if missing:
            raise BrokenPlugin(
                f"The plugin {name!r} of the kind {self.name!r}{_origin(self.name, name)} lacks {', '.join(missing)}.",
                "Add what is missing, or uninstall the package that brings the plugin.",
            )
        return cast(M, module)

    def usable(self) -> Iterator[tuple[str, M]]:
        """Name and module of every plugin that can be imported; a broken one is logged with its traceback and skipped.

        For questions that are put to all plugins of a kind, such as which of them recognizes a file.
        """
        for name in self.names():
            try:
                yield name, self.load_module(name)
            except BrokenPlugin as error:
                _log_broken(self.name, name, error)


class Recognizing(Protocol):
    """A plugin's module that says whether a file, a location or a live object is one of its own."""

    def recognize(self, source: Any, /) -> Confidence: ...  # imports no optional package, connects to nothing


R = TypeVar("R", bound=Recognizing)


def find_recognizing(kind: ModuleKind[R], source: Any, *, asked: Callable[[R], bool] | None = None) -> tuple[str, ...]:
    """The names of the plugins that are surest that ``source`` is one of their own; () where none recognizes it.

    ``asked`` says of a module whether its plugin is asked; all are unless given. Several names mean that as many
    plugins claim it with the same confidence.
    """
    answers = {name: module.recognize(source) for name, module in kind.usable() if asked is None or asked(module)}
    surest = max(answers.values(), default=Confidence.NO)
    return tuple(n for n, answer in answers.items() if answer is surest) if surest is not Confidence.NO else ()


class FunctionKind(ModuleKind[M], Generic[F, M]):
    """A kind whose plugin is one function with settings: the function that has the name of the plugin.

    ``load_module`` gives the module around it, for the constants that a kind may have.
    """

    def load(self, name: str) -> F:
        """The function of the plugin ``name``. Raises NotFound, listing the names there are, or BrokenPlugin."""
        module = self.load_module(name)
        if not callable(getattr(module, name, None)):
            raise BrokenPlugin(
                f"The plugin {name!r} of the kind {self.name!r}{_origin(self.name, name)} has no function {name}().",
                "The function must have the name of the plugin.",
            )
        return cast(F, getattr(module, name))


@cache
def _log_broken(kind: str, name: str, error: BrokenPlugin) -> None:
    logger.warning("The broken plugin %s of the kind %s is skipped.", name, kind, exc_info=error)


def _members(protocol: type) -> tuple[str, ...]:
    """The public names that a protocol asks for, inherited ones too."""
    found: dict[str, None] = {}
    for base in reversed(protocol.__mro__):
        if getattr(base, "_is_protocol", False):
            names = [*vars(base).get("__annotations__", {}), *vars(base)]
            found.update(dict.fromkeys(n for n in names if not n.startswith("_")))
    return tuple(found)


@cache
def _own_names(package: str) -> tuple[str, ...]:
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return tuple(module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_"))


@cache
def _entry_points() -> dict[str, dict[str, list[importlib.metadata.EntryPoint]]]:
    """kind -> name -> the entry points of other packages; found in one pass over all that is installed."""
    found: dict[str, dict[str, list[importlib.metadata.EntryPoint]]] = {}
    points = importlib.metadata.entry_points()
    for group in [g for g in points.groups if g.startswith("evermodel.")]:
        for point in points.select(group=group):
            found.setdefault(group.removeprefix("evermodel."), {}).setdefault(point.name, []).append(point)
    return found


@cache
def _load(kind: str, package: str, name: str) -> ModuleType | BrokenPlugin:
    """The module of a plugin, or the BrokenPlugin that says why there is none: it is not tried a second time."""
    try:
        return _import(kind, package, name)
    except BrokenPlugin as error:
        return error


def _import(kind: str, package: str, name: str) -> ModuleType:
    outside = _entry_points().get(kind, {}).get(name, [])
    if not outside:
        return importlib.import_module(f"{package}.{name}")
    own = ["evermodel"] if name in _own_names(package) else []
    rivals = own + [_distribution(point) for point in outside]
    if len(rivals) > 1:
        raise BrokenPlugin(
            f"Several packages bring a plugin of the kind {kind!r} named {name!r}: {', '.join(rivals)}.",
            "Uninstall all but one, or ask their authors to choose another name.",
        )
    try:
        module = outside[0].load()
    except Exception as error:  # another package's import can fail in any way
        raise BrokenPlugin(
            f"The plugin {name!r} of the kind {kind!r}{_origin(kind, name)} cannot be imported "
            f"({type(error).__name__}: {error}).",
            f"Update or uninstall the package {rivals[0]!r}.",
        ) from error
    if not isinstance(module, ModuleType):
        raise BrokenPlugin(
            f"The entry point {name!r} of evermodel.{kind}{_origin(kind, name)} must name a module. "
            f"Got a {type(module).__name__}: {outside[0].value!r}.",
            "Leave out what stands behind the colon.",
        )
    return module


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _origin(kind: str, name: str) -> str:
    outside = _entry_points().get(kind, {}).get(name, [])
    return f" (from the package {_distribution(outside[0])!r})" if outside else ""
