"""Rows in the log of predictions: files are written anew without them, and renamed once everything else is done."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from evermodel.core.data.logged_predictions import (
    OPEN,
    PREDICTION_ID,
    is_prediction_log,
    list_label_files,
    list_row_files,
)
from evermodel.core.errors import AskedWrongly
from evermodel.core.files import digest_file, disk_space, sync_file, sync_folder
from evermodel.maintenance.deletion.row_match import RowMatch
from evermodel.registry.predictions.compare_logged import SHADOW
from evermodel.registry.predictions.log_segments import list_segments
from evermodel.registry.predictions.seal_segments import seal_orphans

STAGED = ".deleting-"
PATIENCE = 60.0  # seconds for which a running server's open segments are waited for: it hands them over in half of it
PAUSE = 0.2


@dataclass(frozen=True)
class LogFile:
    """A file of the log that holds such rows, and what is put in its place; None where nothing is left of it."""

    path: Path
    rows: int  # that go
    is_label: bool
    former: str  # digests of the file
    staged: Path | None = None
    digest: str = ""


def list_logs(folder: Path) -> list[Path]:
    """The log of a model and that of its shadows, as far as they are there."""
    return [log for log in (folder, folder / SHADOW) if is_prediction_log(log)]


def await_sealed(logs: Iterable[Path], patience: float = PATIENCE) -> None:
    """Waits until what was logged so far lies in Parquet files. Raises AskedWrongly where a server does not let go."""
    for log in logs:
        seal_orphans(log)
        open_now, until = set(list_segments(log / OPEN)), time.monotonic() + patience
        while open_now & set(list_segments(log / OPEN)):
            if time.monotonic() > until:
                raise AskedWrongly(
                    f"A running server keeps predictions in {log / OPEN} that cannot be rewritten yet.",
                    "Run it again in a minute, or end the server first. Nothing was deleted.",
                )
            time.sleep(PAUSE)
            seal_orphans(log)


def find_predictions(logs: Iterable[Path], match: RowMatch) -> RowMatch:
    """The match with the ids of all logged predictions of these rows."""
    ids: set[str] = set()
    for log in logs:
        for file in list_row_files(log):
            frame = _read(file, match.column)
            ids.update(frame.filter(match.find(frame))[PREDICTION_ID].to_list())
    return replace(match, ids=frozenset(ids))


@contextmanager
def stage_files(logs: Iterable[Path], match: RowMatch) -> Iterator[list[LogFile]]:
    """The files that hold such rows, each with what takes its place, beside it. What is not used in the end goes.

    Labels come first: where replacing them is cut short, the ids in the rows still find the rest.
    """
    found: list[LogFile] = []
    folders: list[Path] = []
    try:
        held = list(logs)
        for log in held:
            for left in log.glob(f"{STAGED}*"):  # of a run that was killed
                shutil.rmtree(left, ignore_errors=True)
            folders.append(Path(tempfile.mkdtemp(prefix=STAGED, dir=log)))
        for log, folder in zip(held, folders, strict=True):
            for file in list_label_files(log):
                found += _stage(file, match, folder, is_label=True)
        for log, folder in zip(held, folders, strict=True):
            for file in list_row_files(log):
                found += _stage(file, match, folder, is_label=False)
        yield found
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def put_in_place(files: Iterable[LogFile]) -> None:
    """Replaces the files, in the order in which they were staged."""
    for file in files:
        if file.staged is None:
            file.path.unlink(missing_ok=True)
        else:
            file.staged.replace(file.path)
        sync_folder(file.path.parent)


def _stage(file: Path, match: RowMatch, folder: Path, *, is_label: bool) -> Iterator[LogFile]:
    frame = pl.read_parquet(file, glob=False)
    gone = match.find(frame)
    rows = int(gone.sum())
    if not rows:
        return
    former = digest_file(file)
    if rows == frame.height:
        yield LogFile(file, rows, is_label, former)
        return
    staged = folder / file.name
    with disk_space(staged):
        frame.filter(~gone).write_parquet(staged)
        sync_file(staged)
    yield LogFile(file, rows, is_label, former, staged, digest_file(staged))


def _read(file: Path, column: str) -> pl.DataFrame:
    names = pl.read_parquet_schema(file)
    return pl.read_parquet(file, columns=[n for n in dict.fromkeys((PREDICTION_ID, column)) if n in names], glob=False)
