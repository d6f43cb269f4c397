"""A folder of pictures, one folder a class."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.errors import NoData
from evermodel.core.pictures import PICTURES, picture_bytes

__all__ = ["images", "opens"]


def opens(source: Any) -> bool:
    """Whether it is a folder."""
    return isinstance(source, Path) and source.is_dir()


def images(source: Path, /) -> pl.LazyFrame:
    """The pictures below a folder of folders: ``path`` (relative), ``label`` (its folder's name), ``image`` (bytes).

    Sorted by path; bytes are read when they are asked for. Raises NoData if no folder in it holds a picture.
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
    return listed.with_columns(picture_bytes(pl.col("path"), source).alias("image"))
