"""A model from a file or a live object: the framework that knows it, found by looking, not by importing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from evermodel.core.errors import BadModel, BadSetting, Damaged, MissingExtra, NotFound
from evermodel.core.model.capabilities import SearchUnwrapping, UserCodeReading, convert_object
from evermodel.core.model.framework import FRAMEWORKS, Framework
from evermodel.core.model.user_code import UserCode
from evermodel.core.plugins import find_recognizing
from evermodel.plugins.frameworks._pickles import is_pickle, load_pickle
from evermodel.registry.adoption.foreign_files import describe_foreign
from evermodel.registry.adoption.object_parts import describe_rest, find_owner, pick_object
from evermodel.registry.adoption.sandbox import digest_of, is_switched_off, try_reading
from evermodel.registry.adoption.trusted_files import Trust, read_trust


class Opened(NamedTuple):
    """A model object, its framework, and what should be said of how it was found."""

    obj: Any
    framework: Framework
    notes: tuple[str, ...] = ()


def open_model(
    source: Any, *, trust: Trust = None, factory: str | None = None, object_path: str | None = None
) -> Opened:
    """The model object and its framework. A file is a stranger's: nothing in it is executed unless ``trust`` names it.

    ``trust`` also names Python files with classes of the user's own, which the model's version keeps. ``object_path``
    names the part of a trusted pickle that is the model. Raises BadModel, listing the kinds there are, Unsafe for a
    file that would run code, MissingExtra.
    """
    if not isinstance(source, (str, Path)):
        code = read_trust(trust, None).code
        return _convert_part(source, object_path, "The object", code)
    path = Path(source).expanduser()
    try:
        path.stat()
    except (ValueError, OSError, RuntimeError) as error:  # nothing there, NUL in it, too long, a loop of links
        why = "" if isinstance(error, FileNotFoundError) else f" ({getattr(error, 'strerror', None) or error})"
        raise NotFound(f"There is no model file {str(path)[:200]!r}{why}.", "Give the path of a file.") from None
    if path.is_file() and path.stat().st_size == 0:
        raise BadModel(f"{path.name} is empty (0 bytes).", "Copy the file again.")
    trusted, code = read_trust(trust, path)
    if trusted and is_pickle(path):
        return _convert_part(load_pickle(path, code), object_path, path.name)
    if object_path is not None:
        raise BadSetting(
            f"`object_path` is for a pickle that you trust; {path.name} is none, or `trust` does not name it.",
            f"Write `trust` {path.name}, if you made the file yourself.",
        )
    found = _recognize(path)
    if found is None:
        foreign = describe_foreign(path)
        if foreign is not None:
            raise BadModel(f"{path.name} is {foreign.kind}.", foreign.remedy)
        raise BadModel(f"{path.name} is no model file we know.", _list_kinds())
    return _convert(_read(found, path, trusted, factory, code), found)


def _convert_part(whole: Any, object_path: str | None, name: str, code: UserCode | None = None) -> Opened:
    """The part of an object or of a trusted pickle that is the model; a note says what else there is."""
    opened = _convert(pick_object(whole, object_path, name), code=code)
    rest = None if object_path is None else describe_rest(whole, object_path, name)
    return opened if rest is None else opened._replace(notes=(*opened.notes, rest))


def _convert(obj: Any, framework: Framework | None = None, code: UserCode | None = None) -> Opened:
    """A live object as its framework keeps it; of a search, what it predicts with, and a note that says so.

    With ``code`` the classes of a live object are replaced by those of the files that are kept.
    """
    framework = framework or _find_owner(obj)
    inner = framework.unwrap_search(obj) if isinstance(framework, SearchUnwrapping) else obj
    if inner is obj:
        if code is not None:
            obj = _take_code(framework, type(obj).__name__).convert_with_code(obj, code)
        return Opened(convert_object(framework, obj), framework)
    found = _convert(inner, code=code)
    note = f"a {type(obj).__name__} was given; what it predicts with, its {type(inner).__name__}, is kept and saved"
    return Opened(found.obj, found.framework, (note, *found.notes))


def find_framework(source: Any) -> Framework | None:
    """The framework that knows a file or a live object, by its look alone; None if none does."""
    if not isinstance(source, (str, Path)):
        return _find_owner(source)
    path = Path(source).expanduser()
    return _recognize(path) if path.is_file() and path.stat().st_size else None


def _recognize(path: Path) -> Framework | None:
    """The framework that is surest that the file is one of its own. Raises BadModel where several are equally sure."""
    names = find_recognizing(FRAMEWORKS, path)
    if len(names) > 1:
        raise BadModel(f"{path.name} may be a file of {' or '.join(names)}: its contents do not say which.")
    return FRAMEWORKS.load_module(names[0]) if names else None


def _take_code(framework: Framework, shown: str) -> UserCodeReading:
    """The framework as one that takes Python files. Raises BadSetting for one whose models hold none."""
    if isinstance(framework, UserCodeReading):
        return framework
    raise BadSetting(f"{shown} holds no classes or functions of your own.", "Leave the Python files out of `trust`.")


def _read(framework: Framework, path: Path, trusted: bool, factory: str | None, code: UserCode | None) -> Any:
    apart = not trusted and not is_switched_off()
    before = digest_of(path) if apart else ""
    try:
        if apart:
            try_reading(framework, path, factory, code)
            if digest_of(path) != before:
                raise BadModel(f"{path.name} changed while it was read.", "Give a file that nobody is writing.")
        if code is not None:
            return _take_code(framework, path.name).read_with_code(path, code, trust=trusted, factory=factory)
        return framework.read_file(path, trust=trusted, factory=factory)
    except Damaged as error:  # a file that was given is a wrong request; only what we stored ourselves is a failure
        raise BadModel(error.message, "Copy the file again.") from error
    except ModuleNotFoundError as error:
        package = str(error.name)
        raise MissingExtra.for_package(package, framework.EXTRA, f"Reading {path.name}") from None


def _find_owner(obj: Any) -> Framework:
    framework = find_owner(obj)
    if framework is not None:
        return framework
    raise BadModel(f"A {type(obj).__module__}.{type(obj).__name__} is no model we know.", _list_kinds())


def _list_kinds() -> str:
    known = [
        f"{name} ({', '.join(suffix or 'a folder' for suffix in framework.suffixes())})"
        for name, framework in FRAMEWORKS.usable()
    ]
    return "We know: " + "; ".join(known) + "."
