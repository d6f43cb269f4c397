"""The way in for rows: finds the source's plug and turns a reader's complaints into ours."""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core import plugs
from evermodel.core.errors import BadData, EvermodelError, NoData, NotFound
from evermodel.core.settings import read_settings

MOST_COLUMNS = 100_000

# First bytes that say what a file is, whatever it is called.
_SIGNS: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (b"\x1f\x8b", "gzip", ()),
    (b"PK\x03\x04", "a zip archive (or an Excel workbook)", ()),
    (b"BZh", "bzip2", ()),
    (b"\xfd7zXZ", "xz", ()),
    (b"\x28\xb5\x2f\xfd", "zstandard", ()),
    (b"\x89HDF", "HDF5", ()),
    (b"PAR1", "Parquet", ("parquet",)),
    (b"ARROW1", "Arrow IPC", ("arrow",)),
    (b"SQLite format 3", "an SQLite database", ()),
    (b"%PDF", "PDF", ()),
    (b"\x89PNG", "a PNG picture", ()),
    (b"\xff\xd8\xff", "a JPEG picture", ()),
    (b"\x80\x04", "a Python pickle", ()),
    (b"\x80\x05", "a Python pickle", ()),
)


def scan(source: Any, **settings: Any) -> pl.LazyFrame:
    """The rows of a file, folder, SQL query or live frame, as a query that has read no more than it must.

    Raises NotFound where there is nothing, NoData where there are no rows, BadData where they cannot be read.
    """
    path = as_path(source)
    if path is not None:
        check_file(path)
    given = source if path is None else path
    name = plug_of(given)
    if path is not None and path.is_file():
        _check_signs(path, name)
    plug = plugs.function("sources", name)
    with reading(f"{given}" if path is not None or isinstance(source, str) else f"The given {type(source).__name__}"):
        frame: pl.LazyFrame = plug(given, **read_settings(plug, settings))
        check_columns(frame.collect_schema())
        if not frame.head(1).collect(engine="streaming").height:
            raise NoData(f"{given if path is not None else 'The source'} has columns, but no rows.")
    return frame


def plug_of(source: Any) -> str:
    """The name of the plug that opens ``source``. Raises BadData naming the suffixes there are."""
    for name in plugs.names("sources"):
        if plugs.module("sources", name).opens(source):
            return name
    if not isinstance(source, Path):
        raise BadData(
            f"Rows cannot be read from a {type(source).__name__}.",
            "Give a path, an SQL URL with a query, or a polars, pandas, Arrow or numpy frame.",
        )
    known = [s for name in plugs.names("sources") for s in getattr(plugs.module("sources", name), "SUFFIXES", ())]
    raise BadData(
        f"{source} has the suffix {source.suffix!r}, which no source reads.", f"There is: {', '.join(sorted(known))}."
    )


def as_path(source: Any) -> Path | None:
    """The path that ``source`` means; None for a live frame or an SQL URL."""
    if isinstance(source, Path):
        return source
    if not isinstance(source, str) or "://" in source.split("::")[0]:
        return None
    return Path(source)


def check_file(path: Path) -> None:
    """Raises unless ``path`` is a regular file with bytes in it, or a folder."""
    try:
        found = path.stat()
    except (ValueError, OSError, RuntimeError) as error:  # NUL in the name, a name too long, a loop of links
        raise _missing(path, error) from None
    if stat.S_ISDIR(found.st_mode):
        return
    if not stat.S_ISREG(found.st_mode):
        raise BadData(f"{path} is neither a file nor a folder, but a device, pipe or socket.", "Give a file.")
    if found.st_size == 0:
        raise NoData(f"{path} is empty (0 bytes).")
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadData(f"{path} cannot be opened ({error.strerror}).") from None


def _missing(path: Path, error: Exception) -> EvermodelError:
    if not isinstance(error, FileNotFoundError):
        return NotFound(f"{str(path)!r} is no path that can be opened ({getattr(error, 'strerror', None) or error}).")
    try:
        beside = sorted(p.name for p in path.parent.iterdir())[:10_000]
    except OSError:
        return NotFound(f"There is no file {path}, nor its folder.")
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)
    return NotFound(f"There is no file {path}.", f"Did you mean {near[0]!r}?" if near else "")


def _check_signs(path: Path, plug: str) -> None:
    with path.open("rb") as file:
        first = file.read(16)
    for sign, what, plugs_for in _SIGNS:
        if first.startswith(sign) and plug not in plugs_for:
            raise BadData(f"{path} is named {path.suffix}, but holds {what}.", "Unpack, convert or rename it first.")


def check_columns(schema: pl.Schema) -> None:
    """Raises BadData for too many columns, nested ones, and names that polars takes for patterns."""
    if len(schema) > MOST_COLUMNS:
        raise BadData(f"There are {len(schema):,} columns; at most {MOST_COLUMNS:,} are read.")
    if not len(schema):
        raise NoData("There are no columns.")
    patterns = [n for n in schema if n == "*" or (n.startswith("^") and n.endswith("$"))]
    if patterns:  # polars would take the name for a pattern of names
        raise BadData(f"A column cannot be called {patterns[0]!r}.", "Rename it.")
    nested = [n for n, t in schema.items() if isinstance(t, (pl.List, pl.Array, pl.Struct)) or t == pl.Object]
    if nested:
        shown = ", ".join(repr(n) for n in nested[:5])
        raise BadData(
            f"A column must hold one value a row. Nested: {shown}{', …' if len(nested) > 5 else ''}.",
            "Flatten or drop them.",
        )


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows in memory, by the streaming engine; raises BadData where reading fails on the way."""
    with reading():
        return frame.collect(engine="streaming")


@contextmanager
def reading(what: str = "The rows") -> Iterator[None]:
    """Turns polars' errors and panics into BadData."""
    try:
        yield
    except EvermodelError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError, ValueError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise BadData(f"{what} cannot be read: {lines[0][:300] if lines else type(error).__name__}.") from error
