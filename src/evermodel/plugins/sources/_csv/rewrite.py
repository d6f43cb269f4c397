"""Text tables in unusual dialects, written anew as plain CSV in a folder that goes when the process ends."""

from __future__ import annotations

import csv as writer
import hashlib
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from evermodel.core.errors import BadData
from evermodel.plugins.sources._csv.dialect import BLANKS, Dialect


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="evermodel-rows-", ignore_cleanup_errors=True)


def temporary_path(source: Path, name: str, way: str = "") -> Path:
    """Where a copy of ``source``, rewritten in this ``way``, is kept; another path once the file has changed."""
    state = source.stat()
    key = f"{source.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0{name}\0{way}"
    folder = Path(_folder().name) / hashlib.sha256(key.encode()).hexdigest()[:24]
    folder.mkdir(exist_ok=True)
    return folder / name


def rewrite(source: Path, dialect: Dialect) -> Path:
    """The same table in UTF-8 with commas. Raises BadData, naming the line, for one that is cut another way."""
    to = temporary_path(source, f"{source.stem}.csv", repr(dialect))
    if to.exists():
        return to
    part = to.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        out = writer.writer(file, lineterminator="\n")
        for row in _read_rows(source, dialect):
            out.writerow(row)
    part.rename(to)
    return to


def _read_rows(source: Path, dialect: Dialect) -> Iterator[list[str]]:
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    width = 0
    try:
        with source.open(encoding=encoding, newline=None) as file:
            for _ in range(dialect.skipped):
                file.readline()
            comment = dialect.comment or "\0"  # which no line begins with
            lines = (line for line in file if line.strip() and not line.startswith(comment))
            for number, row in enumerate(_cut(lines, dialect), start=dialect.skipped + 1):
                width = width or len(row)
                if len(row) != width:
                    raise BadData(f"Line {number} of {source} has {len(row)} values, the first {width}.")
                yield row
    except UnicodeError as error:
        raise BadData(f"{source} is not whole {dialect.encoding.upper()} text ({error}).") from error
    except writer.Error as error:
        raise BadData(f"{source} cannot be cut into values ({error}).") from error


def _cut(lines: Iterator[str], dialect: Dialect) -> Iterator[list[str]]:
    if dialect.separator == BLANKS:
        return (line.split() for line in lines)
    cut = writer.reader(lines, delimiter=dialect.separator, quotechar=dialect.quote, skipinitialspace=True)
    return iter(cut)
