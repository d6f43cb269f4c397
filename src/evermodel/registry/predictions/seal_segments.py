"""Turns segments of the log into Parquet files, a file a version; a crash on the way loses and repeats nothing."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.data.logged_predictions import (
    LABELS,
    OPEN,
    PREDICTED_AT,
    PREDICTION,
    PREDICTION_ID,
    ROWS,
    VERSION,
    is_prediction_log,
    read_outputs,
)
from evermodel.core.data.source import PREDICTION_LOG
from evermodel.core.data.target_column import class_text
from evermodel.core.files import sync_folder, write_text, write_whole
from evermodel.core.store import Store
from evermodel.registry.lookup import check_name
from evermodel.registry.predictions.log_segments import (
    ColumnsFrame,
    RowsFrame,
    describe_damage,
    list_segments,
    read_frames,
)

logger = logging.getLogger(__name__)
FOLDER = "predictions"  # in a registry


def log_folder(store: Store, name: str) -> Path:
    """Where the log of a model is, whether it exists or not."""
    return store.registry / FOLDER / check_name(name)


def create_log(folder: Path, inputs: Sequence[str], classes: Sequence[Any]) -> None:
    """The log's folders and its marker, which says which columns are outputs."""
    for part in (ROWS, LABELS, OPEN):
        (folder / part).mkdir(parents=True, exist_ok=True, mode=0o700)
    outputs = {PREDICTION_ID, PREDICTED_AT, VERSION, PREDICTION, *(f"p_{class_text(c)}" for c in classes)}
    before = read_outputs(folder) if is_prediction_log(folder) else ()
    told = sorted({*before, *outputs} - set(inputs))
    if told != list(before):
        write_text(folder / PREDICTION_LOG, json.dumps({"format": 1, "outputs": told}))


def seal_orphans(folder: Path) -> int:
    """Turns the segments that no running server writes into Parquet; how many these were."""
    sealed = 0
    for segment in list_segments(folder / OPEN):
        try:
            file = segment.open("rb")
        except FileNotFoundError:  # another process sealed it just now
            continue
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its writer holds it as long as it lives
            except BlockingIOError:
                continue
            if segment.exists():  # nobody else sealed it meanwhile
                seal_segment(segment, folder)
                sealed += 1
    return sealed


def seal_segment(segment: Path, folder: Path) -> None:
    """The rows of a segment as Parquet, a file a version; then the segment is removed.

    The names of the files follow from the segment's, so that a second try after a crash writes the same files again.
    """
    for version, frame in read_segment(segment).items():
        write_whole(folder / ROWS / f"{segment.stem}-{version}.parquet", frame.write_parquet)
    segment.unlink()
    sync_folder(segment.parent)


def read_open_segments(folder: Path) -> list[dict[str, pl.DataFrame]]:
    """The rows that running servers have not handed over yet, by version, a segment each.

    Read them before the log's files: what is sealed meanwhile is in those, and perhaps in both.
    """
    found = []
    for segment in list_segments(folder / OPEN):
        with contextlib.suppress(FileNotFoundError):  # a server sealed it just now
            found.append(read_segment(segment))
    return found


def read_segment(segment: Path) -> dict[str, pl.DataFrame]:
    """The rows of a segment by version, in the order in which they were answered. Raises Damaged."""
    parts: dict[str, list[pl.DataFrame]] = {}
    try:
        for columns, frames in _group_frames(segment):
            parts.setdefault(columns.version, []).append(_build_frame(columns, frames))
        return {version: pl.concat(frames, how="diagonal_relaxed") for version, frames in parts.items()}
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise describe_damage(segment, f"its values are not of their columns' types ({said})") from error


def _group_frames(segment: Path) -> Iterable[tuple[ColumnsFrame, list[RowsFrame]]]:
    columns: ColumnsFrame | None = None
    held: list[RowsFrame] = []
    for frame in read_frames(segment):
        if isinstance(frame, RowsFrame):
            held.append(frame)
            continue
        if columns is not None and held:
            yield columns, held
        columns, held = frame, []
    if columns is not None and held:
        yield columns, held


def _build_frame(columns: ColumnsFrame, frames: list[RowsFrame]) -> pl.DataFrame:
    heights = np.array([frame.height for frame in frames])
    total = int(heights.sum())
    ids = [
        f"{frame.id}-{row}"
        for frame in frames
        for row in (range(frame.height) if frame.positions is None else frame.positions)
    ]
    moments = np.repeat((np.array([frame.at for frame in frames]) * 1e6).astype(np.int64), heights)
    series: dict[str, pl.Series] = {
        PREDICTION_ID: pl.Series(ids, dtype=pl.String),
        PREDICTED_AT: pl.Series(moments).cast(pl.Datetime("us", "UTC")),
        VERSION: pl.Series([columns.version] * total, dtype=pl.String),
    }
    outputs = np.frombuffer(b"".join(frame.outputs for frame in frames))
    if columns.classes:
        codes = np.frombuffer(b"".join(frame.codes for frame in frames), dtype=np.int32)
        series[PREDICTION] = pl.Series(columns.classes).gather(codes)
        table = outputs.reshape(total, len(columns.classes))
        series |= {f"p_{class_text(c)}": pl.Series(table[:, i]) for i, c in enumerate(columns.classes)}
    elif any(frame.written is not None for frame in frames):
        texts = [text for frame in frames for text in frame.written or [""] * frame.height]
        series[PREDICTION] = pl.Series(texts, dtype=pl.String)
    else:
        series[PREDICTION] = pl.Series(outputs)
    numbers = np.frombuffer(b"".join(frame.numbers for frame in frames)).reshape(total, len(columns.numbers))
    series |= {name: pl.Series(numbers[:, i]).fill_nan(None) for i, name in enumerate(columns.numbers)}
    for i, name in enumerate(columns.texts):
        dtype = pl.Binary if name in columns.pictures else pl.String
        series[name] = pl.Series([value for frame in frames for value in frame.texts[i]], dtype=dtype)
    for i, name in enumerate(columns.keys):
        series[name] = pl.Series([value for frame in frames for value in frame.keys[i]], strict=False)
    return pl.DataFrame([values.alias(name) for name, values in series.items()])
