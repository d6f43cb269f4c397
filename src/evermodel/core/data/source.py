"""What a source plugin is: it recognizes something that holds rows, and scans it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from evermodel.core.errors import BadSetting
from evermodel.core.plugins import Confidence, FunctionKind
from evermodel.core.records.model_signature import AUTO, UNSTATED, TableDialect
from evermodel.core.settings import settings_of

BURST = "near_duplicate_of"  # column of pictures in folders: those with one value stay on one side of a split
DELTA_LOG = "_delta_log"  # marks a folder that holds a Delta table
PREDICTION_LOG = "prediction_log.json"  # marks a folder in which a server logs its predictions
# Settings of the plugin that reads text tables -> what was stated. Every file of rows that is read sees them.
STATED_DIALECT: ContextVar[Mapping[str, str]] = ContextVar("stated_dialect")
# How the tables of the model in hand are usually written. What was stated comes first.
USUAL_DIALECT: ContextVar[TableDialect] = ContextVar("usual_dialect")
UNPACKERS = ("compression", "table_folder")  # sources that hand the files they find to the source of their own kind


class Source(Protocol):
    """The function of a source plugin: the rows of a file, folder, query or live frame, as a lazy query.

    It reads no more than it must to know the columns. Raises BadData or NoData where the rows cannot be read.
    """

    __name__: str

    def __call__(self, source: Any, /, **settings: Any) -> pl.LazyFrame: ...


class SourceModule(Protocol):
    """The module of a source plugin."""

    SUFFIXES: tuple[str, ...]  # of the files it reads: (".csv", ".tsv"); () for what is no file

    def recognize(self, source: Any, /) -> Confidence: ...  # a Path, a URL as text or a live object; imports nothing


def recognize_suffix(source: Any, suffixes: tuple[str, ...]) -> Confidence:
    """For sources that are files with a suffix of their own: the contents are checked when they are read."""
    return Confidence.POSSIBLE if isinstance(source, Path) and source.suffix.lower() in suffixes else Confidence.NO


SOURCES: FunctionKind[Source, SourceModule] = FunctionKind("sources", SourceModule)


def find_stated_dialect(source: Any) -> TableDialect:
    """What was stated about the text tables of this command, where ``source`` is a file; of a live frame nothing."""
    if not isinstance(source, (str, Path)):
        return UNSTATED
    return TableDialect.from_statements(STATED_DIALECT.get({}))


@contextmanager
def use_dialect(dialect: TableDialect) -> Iterator[None]:
    """Text tables that are read meanwhile are usually written so; what an outer call says comes first."""
    token = USUAL_DIALECT.set(dialect.change(USUAL_DIALECT.get(UNSTATED)))
    try:
        yield
    finally:
        USUAL_DIALECT.reset(token)


def add_stated_dialect(source: Any, name: str, plugin: Callable[..., Any], settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` with what was stated about text tables, for the plugin ``name`` that reads ``source``.

    A live frame has no dialect; a packed file, or a folder, has that of the files inside. Raises BadSetting for any
    other source whose plugin takes no such setting: nothing that was stated is passed over. How tables are usually
    written concerns text tables alone.
    """
    stated, usual = STATED_DIALECT.get({}), USUAL_DIALECT.get(UNSTATED).stated
    if name in UNPACKERS or not isinstance(source, (str, Path)):
        return settings
    known = {setting.name for setting in settings_of(plugin)}
    unknown = next((setting for setting in stated if setting not in known), None)
    if unknown is not None:
        raise BadSetting(
            f"`{unknown}` says how a text table is written, and {source} is none.",
            "Leave it out, or give a text table.",
        )
    usual = {
        setting: value
        for setting, value in usual.items()
        if value != AUTO and setting in known and setting not in stated
    }
    if "header" in usual:
        usual["usual_header"] = usual.pop("header")
    return {**usual, **stated, **settings}
