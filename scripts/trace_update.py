"""Counts the files and functions of Evermodel that one update, and one check by ``maintain``, pass through.

    python scripts/trace_update.py

A small LightGBM model is adopted and updated on a few hundred rows in a temporary folder. A function counts once,
however often it is called; functions of the standard library and of other packages do not count. With --list the files
and their functions are printed as well.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import evermodel

SOURCE = str(Path(evermodel.__file__).parent)
COMPREHENSIONS = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")


class CallTrace:
    """The functions of Evermodel that were called while ``recording`` was open: file, line and name of each.

    Two equal functions at the same line of two files are equal as code objects, so these are not what is kept.
    """

    def __init__(self) -> None:
        self.called: set[tuple[str, int, str]] = set()

    @contextmanager
    def recording(self) -> Iterator[None]:
        threading.setprofile(self._record)
        sys.setprofile(self._record)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    def _record(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(SOURCE):
            return
        is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)  # the bodies of modules and classes are not
        if is_function and code.co_name not in COMPREHENSIONS:
            self.called.add((code.co_filename, code.co_firstlineno, code.co_qualname))

    def functions(self) -> dict[str, list[str]]:
        """File, relative to the package -> the functions called in it."""
        found: dict[str, set[str]] = {}
        for file, _, name in self.called:
            found.setdefault(str(Path(file).relative_to(SOURCE)), set()).add(name)
        return {file: sorted(names) for file, names in sorted(found.items())}


def adopt_small_model(folder: Path) -> None:
    """A LightGBM model of two columns, its reference rows, and new rows that moved."""
    import lightgbm
    import numpy as np
    import polars as pl

    def rows(n: int, seed: int, turn: float) -> pl.DataFrame:
        random = np.random.default_rng(seed)
        x = random.normal(size=(n, 2))
        score = np.cos(turn) * x[:, 0] + np.sin(turn) * x[:, 1]
        y = (score + 0.3 * random.normal(size=n) > 0).astype(int)
        return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})

    reference, new = rows(600, 0, 0.0), rows(600, 1, 0.8)
    settings = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "num_threads": 1, "seed": 0}
    x = reference.select("a", "b").to_numpy()
    lightgbm.train(settings, lightgbm.Dataset(x, reference["y"].to_numpy()), 20).save_model(folder / "model.txt")
    reference.write_csv(folder / "reference.csv")
    (folder / "inbox").mkdir()
    new.write_csv(folder / "inbox" / "new.csv")
    evermodel.adopt(
        str(folder / "model.txt"),
        data=str(folder / "reference.csv"),
        target="y",
        name="m",
        registry=folder / "registry",
    )


def trace(action: Callable[[], object]) -> CallTrace:
    """The calls of one action; what it prints is dropped."""
    calls = CallTrace()
    with contextlib.redirect_stdout(io.StringIO()), calls.recording():
        action()
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the files and their functions as well")
    listing = parser.parse_args().list
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adopt_small_model(folder)
        registry = folder / "registry"
        new = str(folder / "inbox" / "new.csv")
        update = trace(lambda: evermodel.update("m", new, registry=registry))
        evermodel.policy("m", {"data": str(folder / "inbox"), "check": "hour", "update": "month"}, registry=registry)
        maintain = trace(lambda: evermodel.maintain("m", registry=registry))
    for what, calls in (("an update of a small LightGBM model", update), ("a check by maintain", maintain)):
        functions = calls.functions()
        print(f"{what}: {len(functions)} files, {sum(map(len, functions.values()))} functions")
        if listing:
            for file, names in functions.items():
                print(f"  {file}: {', '.join(names)}")


if __name__ == "__main__":
    main()
