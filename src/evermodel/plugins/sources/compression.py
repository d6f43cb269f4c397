"""Compressed files of rows: .csv.gz, .jsonl.zst, .tsv.bz2 … are unpacked and read as what is inside."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

import polars as pl

from evermodel.core.data.scan import scan
from evermodel.core.errors import BadData, MissingExtra
from evermodel.core.plugins import Confidence
from evermodel.plugins.sources._csv.rewrite import temporary_path

__all__ = ["compression", "recognize"]
SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
CHUNK = 1 << 22
ROOM, MOST_RATIO = 1 << 30, 200  # bytes unpacked, and times its own size: a file of zeros would fill the disk


def recognize(source: Any, /) -> Confidence:
    """By the suffix of the packing, where the name tells what is inside: rows.csv.gz."""
    packed = isinstance(source, Path) and source.suffix.lower() in SUFFIXES
    return Confidence.POSSIBLE if packed and Path(source.stem).suffix else Confidence.NO


def compression(source: Path, /) -> pl.LazyFrame:
    """The rows of a compressed file, unpacked into a temporary folder. Raises BadData for a file that was cut off."""
    to = temporary_path(source, source.stem)
    if not to.exists():
        _unpack(source, to)
    return scan(to, None)


def _unpack(source: Path, to: Path) -> None:
    part = to.with_name(f"{to.name}.part")
    size, most = 0, ROOM + MOST_RATIO * source.stat().st_size
    try:
        with _open_packed(source) as packed, part.open("wb") as unpacked:
            while chunk := packed.read(CHUNK):
                size += len(chunk)
                if size > most:
                    raise BadData(
                        f"{source} unpacks to more than {MOST_RATIO} times its size.",
                        "Unpack it yourself, if it is right.",
                    )
                unpacked.write(chunk)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise BadData(f"{source} cannot be unpacked ({error}).", "Was the copy interrupted?") from error
    finally:
        if size > most:
            part.unlink(missing_ok=True)
    part.rename(to)


def _open_packed(source: Path) -> IO[bytes]:
    suffix = source.suffix.lower()
    if suffix == ".gz":
        return gzip.open(source)  # type: ignore[return-value]  # read as bytes
    if suffix == ".bz2":
        return bz2.open(source)
    if suffix == ".xz":
        return lzma.open(source)
    try:
        import zstandard
    except ImportError:
        raise MissingExtra.for_package("zstandard", "files", f"Reading {source.name}") from None
    opened: IO[bytes] = zstandard.open(source)
    return opened
