"""Python files of the user's own that a model needs: kept as they were, and imported from what is kept."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import inspect
import json
import linecache
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from evermodel.core.code_trust import check_trusted
from evermodel.core.errors import BadModel, BadSetting, Damaged, NotFound
from evermodel.core.files import read_limited

FOLDER, LIST = "code", "code.json"  # beside the model's other files: the copies, and their SHA-256
MOST_BYTES = 10_000_000
_importing = threading.RLock()  # sys.modules belongs to the whole process
_imported: dict[str, dict[str, ModuleType]] = {}  # by the digest of all files
_owners: weakref.WeakKeyDictionary[Any, UserCode] = weakref.WeakKeyDictionary()  # class or function -> its files


@dataclass(frozen=True)
class UserCode:
    """Python files by module name, each with the bytes that the user trusted. Nothing runs before ``list_names``.

    The modules are there for the files themselves and inside of ``in_use`` only: two models may bring files of one name
    that differ, and the user's own module of that name stays the one that the process knows.
    """

    sources: Mapping[str, bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of all files together, names included."""
        return hashlib.sha256(json.dumps(self.digests(), sort_keys=True).encode()).hexdigest()

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file, by its name."""
        return {f"{name}.py": hashlib.sha256(text).hexdigest() for name, text in self.sources.items()}

    def list_names(self) -> dict[str, Any]:
        """The classes and functions that the files define, by name; imports the files. Raises BadModel, Unsafe."""
        with self.in_use() as modules:
            return {
                key: value
                for name, module in modules.items()
                for key, value in vars(module).items()
                if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == name
            }

    @contextmanager
    def in_use(self, *, as_main: bool = False) -> Iterator[dict[str, ModuleType]]:
        """Inside, ``import NAME`` gives the modules of these files; ``as_main`` also for what a script called its own.

        Raises Unsafe where nobody trusted a file, BadModel where one cannot be imported.
        """
        check_trusted(self.digests())
        finder = _Finder(self)
        with _importing:
            hidden = {name: sys.modules.pop(name) for name in self.sources if name in sys.modules}
            main = sys.modules.get("__main__")
            sys.modules.update(_imported.get(self.digest, {}))
            sys.meta_path.insert(0, finder)
            try:
                modules = self._import_all()
                if as_main:
                    sys.modules["__main__"] = _join_modules(modules)
                yield modules
            finally:
                sys.meta_path.remove(finder)
                for name in self.sources:
                    sys.modules.pop(name, None)
                sys.modules.update(hidden)
                if main is not None:
                    sys.modules["__main__"] = main

    def _import_all(self) -> dict[str, ModuleType]:
        if self.digest not in _imported:
            modules = {}
            for name in self.sources:
                try:
                    modules[name] = importlib.import_module(name)
                except Exception as error:  # the user's own code can fail in any way
                    said = next(iter(str(error).strip().splitlines()), "")[:200]
                    raise BadModel(
                        f"{name}.py cannot be imported ({type(error).__name__}: {said}).",
                        "It is imported alone: name each other file that it imports with `trust` too, and keep what "
                        'trains or prints behind if __name__ == "__main__".',
                    ) from error
            for name, module in modules.items():
                self._own(vars(module).values(), name)
            _imported[self.digest] = modules
        return _imported[self.digest]

    def _own(self, values: Iterable[Any], module: str) -> None:
        for value in list(values):
            if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module:
                known = value in _owners
                _owners[value] = self
                if inspect.isclass(value) and not known:
                    self._own(vars(value).values(), module)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the modules of user code from the bytes that were trusted, never from a file by that name."""

    def __init__(self, code: UserCode) -> None:
        self.code = code

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.code.sources:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=self._shown(fullname))

    def exec_module(self, module: ModuleType) -> None:
        source, shown = self.code.sources[module.__name__], self._shown(module.__name__)
        text = source.decode("utf-8-sig")
        linecache.cache[shown] = (len(text), None, text.splitlines(keepends=True), shown)  # tracebacks show its lines
        module.__file__ = shown
        exec(compile(source, shown, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - --trust named it

    def _shown(self, name: str) -> str:
        return f"<{name}.py, SHA-256 {self.code.digests()[f'{name}.py'][:12]}>"


def _join_modules(modules: Mapping[str, ModuleType]) -> ModuleType:
    """One module with the names of all: what a script pickled calls its classes ``__main__``'s."""
    main = ModuleType("__main__")
    for module in modules.values():
        vars(main).update({key: value for key, value in vars(module).items() if not key.startswith("__")})
    return main


def read_user_code(files: Sequence[Path]) -> UserCode | None:
    """The Python files that a user trusts, as they are now; None without any. Raises NotFound, BadSetting."""
    sources: dict[str, bytes] = {}
    for file in files:
        if not file.is_file():
            raise NotFound(f"There is no file {str(file)[:200]!r} to trust.", "Give the path of a Python file.")
        name = file.stem
        if not name.isidentifier() or name in sys.stdlib_module_names or name == "evermodel":
            raise BadSetting(
                f"{file.name} cannot be imported as a module {name!r}.",
                "Give it a name of letters, digits and '_' that no module of Python has.",
            )
        if name in sources:
            raise BadSetting(f"Two files to trust are called {file.name}.", "Give them names that differ.")
        try:
            sources[name] = read_limited(file, MOST_BYTES)
        except OSError as error:
            raise BadSetting(f"{file.name} cannot be read: {error.strerror}.", "Name source files alone.") from None
    if sum(map(len, sources.values())) > MOST_BYTES:
        raise BadSetting(f"The files to trust are larger than {MOST_BYTES:,} bytes.", "Name source files alone.")
    return UserCode(sources) if sources else None


def is_any_imported() -> bool:
    """Whether this process has imported any file of the user's for a model."""
    return bool(_imported)


def find_code(parts: Iterable[Any]) -> UserCode | None:
    """The files that the classes of these objects, and the functions among them, came from; None where from none.

    Raises BadModel where two of the files have one name and differ: a version holds one file of a name.
    """
    sources: dict[str, bytes] = {}
    for part in parts:
        owner = _owners.get(part) if inspect.isclass(part) or inspect.isfunction(part) else _owners.get(type(part))
        for name, source in {} if owner is None else dict(owner.sources).items():
            if sources.setdefault(name, source) != source:
                raise BadModel(
                    f"The parts of the model need two files called {name}.py that differ.",
                    "Adopt them with one file that holds what both need.",
                )
    return UserCode(sources) if sources else None


def write_code(code: UserCode | None, to: Path) -> None:
    """Keeps a copy of the files in the folder of a model's files; of None nothing."""
    if code is None:
        return
    (to / FOLDER).mkdir()
    for name, source in code.sources.items():
        (to / FOLDER / f"{name}.py").write_bytes(source)
    (to / LIST).write_text(json.dumps(code.digests(), sort_keys=True))


def read_code(at: Path) -> UserCode | None:
    """The files kept by ``write_code``; None where there are none. Raises Damaged where they are not what was kept."""
    if not (at / LIST).exists():
        return None
    try:
        expected = {str(name): str(digest) for name, digest in json.loads((at / LIST).read_text()).items()}
        code = UserCode({Path(name).stem: (at / FOLDER / Path(name).name).read_bytes() for name in expected})
    except (OSError, ValueError, AttributeError) as error:
        raise Damaged(
            f"The code kept in {at} cannot be read ({error}).", "'evermodel doctor' says what helps."
        ) from None
    if code.digests() != expected:
        changed = sorted(name for name, digest in code.digests().items() if expected.get(name) != digest)
        raise Damaged(
            f"{', '.join(changed)} in {at / FOLDER} is not what was kept.", "'evermodel doctor' says what helps."
        )
    return code
