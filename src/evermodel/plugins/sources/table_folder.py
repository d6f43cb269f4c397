"""A folder of files of rows, one kind of file, also in partitions KEY=VALUE; and Delta tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from evermodel.core.data.scan import reading, scan
from evermodel.core.data.source import DELTA_LOG, SOURCES
from evermodel.core.data.text_tables.text_types import infer_types
from evermodel.core.errors import BadData, MissingExtra
from evermodel.core.plugins import Confidence
from evermodel.plugins.sources._folders.contents import holds_tables, list_files

__all__ = ["recognize", "table_folder"]
SUFFIXES: tuple[str, ...] = ()
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # how Hive and Spark write a missing value
MOST_FILES = 10_000


def recognize(source: Any, /) -> Confidence:
    """A folder with files of rows in it, and no pictures in folders of their own."""
    return (
        Confidence.CERTAIN if isinstance(source, Path) and source.is_dir() and holds_tables(source) else Confidence.NO
    )


def table_folder(source: Path, /) -> pl.LazyFrame:
    """The rows of all files below a folder, in the order of their names, in which 9 stands before 10.

    Names that begin with a point or an underscore are passed over. A folder KEY=VALUE gives the rows below it a column
    KEY. The rows of a folder with a ``_delta_log`` are those of the Delta table's newest version. Raises BadData for
    files of several kinds, columns that not all files have, or more than 10,000 files; MissingExtra for a Delta table
    without the package ``deltalake``.
    """
    if (source / DELTA_LOG).is_dir():
        return _scan_delta(source)
    files = _list_one_kind(source)
    keys = _read_keys(source, files)
    frames = [_with_keys(scan(file, None), keys, at) for at, file in enumerate(files)]
    names = frames[0].collect_schema().names()
    for file, frame in zip(files, frames, strict=True):
        _check_names(names, frame.collect_schema().names(), files[0], file)
    with reading(str(source)):
        joined = pl.concat([frame.select(names) for frame in frames], how="vertical_relaxed")
        joined.collect_schema()
    return joined


def _scan_delta(source: Path) -> pl.LazyFrame:
    """Its files alone would hold rows that were deleted or replaced since."""
    try:
        import deltalake  # type: ignore[import-not-found,unused-ignore] # noqa: F401  # polars reads the log by it
    except ImportError:
        raise MissingExtra.for_package("deltalake", "delta", f"Reading the Delta table {source}") from None
    with reading(str(source)):
        return pl.scan_delta(str(source))


def _list_one_kind(source: Path) -> list[Path]:
    """The files, in order. Raises BadData where they are of several kinds, or of one that no source reads."""
    files = list(list_files(source, most=MOST_FILES + 1))
    if len(files) > MOST_FILES:
        raise BadData(f"{source} holds more than {MOST_FILES:,} files.", "Write them as fewer, larger files.")
    suffixes = sorted({file.suffix.lower() for file in files})
    if len(suffixes) > 1:
        raise BadData(
            f"{source} holds files of several kinds: {', '.join(map(repr, suffixes[:5]))}.",
            "Keep the files of rows alone in their folder.",
        )
    readable = sorted(suffix for _, module in SOURCES.usable() for suffix in module.SUFFIXES)
    if suffixes[0] not in readable:
        raise BadData(
            f"{source} holds files with the suffix {suffixes[0]!r}, which no source reads.",
            f"There is: {', '.join(readable)}; or a folder of pictures for each class.",
        )
    return files


def _read_keys(source: Path, files: list[Path]) -> pl.DataFrame:
    """One row a file: the values of the partitions KEY=VALUE in which it lies, as numbers or moments where all are."""
    rows = []
    for file in files:
        parts = [part.partition("=") for part in file.relative_to(source).parts[:-1]]
        rows.append({key: None if value == NO_VALUE else unquote(value) for key, equals, value in parts if equals})
    keys = list(rows[0])
    odd = next((file for file, row in zip(files, rows, strict=True) if list(row) != keys), None)
    if odd is not None:
        raise BadData(
            f"{odd} does not lie in partitions of {', '.join(keys) or 'no column'}, as {files[0]} does.",
            "Keep the files of one table, partitioned in one way, in the folder.",
        )
    texts = {key: pl.Series([row[key] for row in rows], dtype=pl.String) for key in keys}
    return infer_types(pl.LazyFrame(texts)).collect() if keys else pl.DataFrame()


def _with_keys(frame: pl.LazyFrame, keys: pl.DataFrame, at: int) -> pl.LazyFrame:
    """The rows of file number ``at`` with the columns of its partitions, unless the file has them itself."""
    there = frame.collect_schema().names()
    new = [key for key in keys.columns if key not in there]
    return frame.with_columns(pl.lit(keys[key][at], dtype=keys.schema[key]).alias(key) for key in new)


def _check_names(names: list[str], found: list[str], first: Path, file: Path) -> None:
    lacking = [name for name in names if name not in found]
    extra = [name for name in found if name not in names]
    if lacking or extra:
        what = f"lacks the column {lacking[0]!r}" if lacking else f"has a column {extra[0]!r}"
        raise BadData(f"{file} {what}, unlike {first}.", "All files of a folder must have the same columns.")
