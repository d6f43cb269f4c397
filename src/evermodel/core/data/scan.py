"""The way in for rows: finds the source's plugin and turns a reader's complaints into ours."""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.list_columns import flatten_lists, lay_out_lists
from evermodel.core.data.source import (
    PREDICTION_LOG,
    SOURCES,
    STATED_DIALECT,
    USUAL_DIALECT,
    add_stated_dialect,
    use_dialect,
)
from evermodel.core.errors import BadData, EvermodelError, NoData, NoRows, NotFound
from evermodel.core.plugins import find_recognizing
from evermodel.core.records.model_signature import AS_FOUND, UNSTATED, RowFormat
from evermodel.core.settings import read_settings

MOST_COLUMNS = 100_000
MOST_SPREAD_ROWS = 200_000
UNORDERED = ("images",)  # sources whose rows have no order; a column BURST says which of them belong together
_AT = "__row__"

# First bytes that say what a file is, whatever it is called.
_SIGNS: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (b"\x1f\x8b", "gzip", ("compression",)),
    (b"PK\x03\x04", "a zip archive (or an Excel workbook)", ("excel",)),
    (b"BZh", "bzip2", ("compression",)),
    (b"\xfd7zXZ", "xz", ("compression",)),
    (b"\x28\xb5\x2f\xfd", "zstandard", ("compression",)),
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


def scan(
    source: Any, row_format: RowFormat | None = AS_FOUND, /, *, nested: bool = False, **settings: Any
) -> pl.LazyFrame:
    """The rows of a file, folder, SQL query or live frame, as a query that has read no more than it must.

    Of the folder in which a server logs its predictions: the rows that have a label by now. ``row_format`` says how
    text tables are usually written and how list columns are padded and cut; the lists of any other column must be
    of one length. With None all stay lists. ``nested``: columns may hold lists and objects of any kind.
    A column of conversations becomes two of text: see ``chat_columns``.
    Raises NotFound where there is nothing, NoData where there are no rows, BadData where they cannot be read.
    """
    if row_format is not None and row_format.dialect != UNSTATED:
        with use_dialect(row_format.dialect):
            return scan(source, RowFormat(row_format.lists), nested=nested, **settings)
    path = as_path(source)
    if path is not None:
        check_file(path)
    if path is not None and (path / PREDICTION_LOG).is_file():
        from evermodel.core.data.logged_predictions import scan_labelled_rows

        return scan_labelled_rows(path)
    given = source if path is None else path
    name = source_name(given)
    if path is not None and path.is_file():
        _check_signs(path, name)
    plugin = SOURCES.load(name)
    if STATED_DIALECT.get({}) or USUAL_DIALECT.get(None) is not None:
        settings = add_stated_dialect(given, name, plugin, settings)
    with reading(f"{given}" if path is not None or isinstance(source, str) else f"The given {type(source).__name__}"):
        frame: pl.LazyFrame = plugin(given, **read_settings(plugin, settings))
        kinds = frame.collect_schema().dtypes()
        if nested:
            return frame
        if any(isinstance(kind, pl.List) and kind.inner == pl.Struct for kind in kinds):
            from evermodel.core.data.chat_columns import split_conversations

            frame = split_conversations(frame)
        if (check_columns(frame.collect_schema()) or row_format != AS_FOUND) and row_format is not None:
            frame = flatten_lists(lay_out_lists(frame, row_format.lists))
        if not frame.select(pl.first()).head(1).collect(engine="streaming").height:
            raise NoRows(f"{given if path is not None else 'The source'} has columns, but no rows.")
    return frame


def source_name(source: Any) -> str:
    """The name of the plugin that reads ``source``. Raises BadData, naming the suffixes there are.

    A file is first shown to the plugins that read its suffix, then to all.
    """
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    names = find_recognizing(SOURCES, source, asked=lambda module: suffix in module.SUFFIXES)
    names = names or find_recognizing(SOURCES, source)
    if len(names) == 1:
        return names[0]
    if names:
        raise BadData(f"Several sources read {source}: {', '.join(names)}.", "Uninstall the packages of all but one.")
    if not isinstance(source, Path):
        raise BadData(
            f"Rows cannot be read from a {type(source).__name__}.",
            "Give a path, an SQL URL with a query, or a polars, pandas, Arrow or numpy frame.",
        )
    suffixes = sorted(suffix for _, module in SOURCES.usable() for suffix in module.SUFFIXES)
    raise BadData(
        f"{source} has the suffix {source.suffix!r}, which no source reads.", f"There is: {', '.join(suffixes)}."
    )


def has_order(source: Any) -> bool:
    """Whether the order of a source's rows may mean something; that of pictures in folders by class means nothing."""
    path = as_path(source)
    return path is None or not path.is_dir() or source_name(path) not in UNORDERED


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


def _check_signs(path: Path, plugin: str) -> None:
    with path.open("rb") as file:
        first = file.read(16)
    for sign, what, plugs_for in _SIGNS:
        if first.startswith(sign) and plugin not in plugs_for:
            raise BadData(f"{path} is named {path.suffix}, but holds {what}.", "Unpack, convert or rename it first.")


def check_columns(schema: pl.Schema) -> list[str]:
    """The columns of lists of numbers. Raises BadData for other nested ones, too many, and names that are patterns."""
    if len(schema) > MOST_COLUMNS:
        raise BadData(f"There are {len(schema):,} columns; at most {MOST_COLUMNS:,} are read.")
    if not len(schema):
        raise NoData("There are no columns.")
    patterns = [n for n in schema if n == "*" or (n.startswith("^") and n.endswith("$"))]
    if patterns:  # polars would take the name for a pattern of names
        raise BadData(f"A column cannot be called {patterns[0]!r}.", "Rename it.")
    nested = [n for n, t in schema.items() if isinstance(t, (pl.List, pl.Array, pl.Struct)) or t == pl.Object]
    if nested:
        _refuse_nested(schema, nested)
    return nested


def _refuse_nested(schema: pl.Schema, nested: list[str]) -> None:
    """Raises BadData unless these columns hold lists of numbers."""
    refused = [n for n in nested if not _holds_numbers(schema[n])]
    if refused:
        shown = ", ".join(repr(n) for n in refused[:5])
        raise BadData(
            f"A column must hold one value a row. Nested: {shown}{', …' if len(refused) > 5 else ''}.",
            "Flatten or drop them; a list of numbers, of one length in all rows, may stay.",
        )


def _holds_numbers(dtype: pl.DataType) -> bool:
    return isinstance(dtype, (pl.List, pl.Array)) and dtype.inner.is_numeric()


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows in memory, by the streaming engine; raises BadData where reading fails on the way."""
    with reading():
        return frame.collect(engine="streaming")


def spread_rows(frame: pl.LazyFrame, rows: int | None = None, most: int = MOST_SPREAD_ROWS) -> pl.DataFrame:
    """All rows up to ``most``, else every k-th of them: the same rows for the same data, evenly from old to new."""
    if rows is None:
        rows = collect(frame.select(pl.len())).item()
    step = -(-rows // most)
    if step <= 1:
        return collect(frame)
    return collect(frame.with_row_index(_AT).filter(pl.col(_AT) % step == 0).drop(_AT))


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
