"""A folder of pictures, one folder a class."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.image_columns import PICTURES, picture_bytes
from evermodel.core.data.source import BURST
from evermodel.core.errors import NoData
from evermodel.core.plugins import Confidence
from evermodel.plugins.sources._folders.bursts import find_bursts
from evermodel.plugins.sources._folders.contents import holds_tables

__all__ = ["images", "recognize"]
SUFFIXES: tuple[str, ...] = ()


def recognize(source: Any, /) -> Confidence:
    """Any folder may hold pictures, unless files of rows lie in it."""
    is_folder = isinstance(source, Path) and source.is_dir()
    return Confidence.POSSIBLE if is_folder and not holds_tables(source) else Confidence.NO


def images(source: Path, /) -> pl.LazyFrame:
    """The pictures below a folder of folders: ``path`` (relative), ``label`` (its folder's name), ``image`` (bytes).

    Sorted by path, which means nothing; ``near_duplicate_of`` is the first path of a picture's burst: frames of a track
    by their names, or near-duplicates. Bytes are read, and bursts sought, when they are asked for. Raises NoData if no
    folder in it holds a picture.
    """
    paths = sorted(
        f"{folder.name}/{file.name}"
        for folder in source.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
        for file in folder.iterdir()
        if file.suffix.lower() in PICTURES and file.is_file()
    )
    if not paths:
        loose = any(p.suffix.lower() in PICTURES for p in itertools.islice(source.iterdir(), 1000))
        raise NoData(
            f"{source} is a folder without pictures in folders of their own.",
            "Put each class's pictures into a folder named like the class."
            if loose
            else "Give a file, or such a folder.",
        )
    labels = [p.split("/", 1)[0] for p in paths]
    listed = pl.LazyFrame({"path": paths, "label": labels})
    return listed.with_columns(
        picture_bytes(pl.col("path"), source).alias("image"), _name_bursts(pl.col("path"), source, paths).alias(BURST)
    )


def _name_bursts(of: pl.Expr, source: Path, paths: list[str]) -> pl.Expr:
    """The first path of the burst of each path. All pictures are looked at once, when the first is asked for."""
    find = cache(lambda: find_bursts(source, paths))

    def name(column: pl.Series) -> pl.Series:
        bursts = find()
        return pl.Series(column.name, [bursts.get(path, path) for path in column], dtype=pl.String)

    return of.map_batches(name, return_dtype=pl.String, is_elementwise=True)
