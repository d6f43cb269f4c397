"""The way in for rows: finds the source's plug and turns a reader's complaints into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

MOST_COLUMNS = 100_000


def scan(source: Any, **settings: Any) -> pl.LazyFrame:
    """The rows of a file, folder, SQL query or live frame, as a query that has read no more than it must.

    Raises NotFound where there is nothing, NoData where there are no rows, BadData where they cannot be read.
    """
    raise NotImplementedError


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows in memory, by the streaming engine; raises BadData where reading fails on the way."""
    raise NotImplementedError


@contextmanager
def reading(what: str = "The rows") -> Iterator[None]:
    """Turns polars' errors and panics into BadData."""
    yield
