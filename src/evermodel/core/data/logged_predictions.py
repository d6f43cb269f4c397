"""Where the log of a model's predictions keeps its files, and its rows joined with the labels that came later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from evermodel.core.data.source import PREDICTION_LOG
from evermodel.core.errors import Damaged, NoRows
from evermodel.core.files import read_limited

ROWS, LABELS, OPEN = "rows", "labels", "open"  # its folders: Parquet, Parquet, and segments being written
PREDICTION_ID, PREDICTED_AT, VERSION, PREDICTION = "prediction_id", "predicted_at", "version", "prediction"
LABELLED_AT = "labelled_at"
LARGEST_MARKER = 100_000_000  # bytes


def is_prediction_log(path: Path) -> bool:
    """Whether a folder is the log of a model's predictions."""
    return path.is_dir() and (path / PREDICTION_LOG).is_file()


def list_row_files(folder: Path) -> list[Path]:
    """The Parquet files of predicted rows, oldest first."""
    return sorted((folder / ROWS).glob("*.parquet"))


def list_label_files(folder: Path) -> list[Path]:
    """The Parquet files of labels, oldest first."""
    return sorted((folder / LABELS).glob("*.parquet"))


def scan_files(files: Sequence[Path]) -> pl.LazyFrame:
    """The rows of files whose columns may differ between versions."""
    return pl.concat([pl.scan_parquet(file, glob=False) for file in files], how="diagonal_relaxed")


def scan_labelled_rows(folder: Path) -> pl.LazyFrame:
    """The predicted rows that have a label, with the label that came last: what a model can be updated with.

    The columns are those that clients sent and the target. Raises NoRows where nothing is labelled yet.
    """
    rows, labels = list_row_files(folder), list_label_files(folder)
    if not rows or not labels:
        raise NoRows(f"{folder} holds no labelled predictions yet.", "'evermodel label NAME FILE' adds labels.")
    known = scan_files(labels).unique(PREDICTION_ID, keep="last", maintain_order=True).drop(LABELLED_AT, strict=False)
    joined = scan_files(rows).join(known, on=PREDICTION_ID, how="inner", maintain_order="left")
    outputs = set(read_outputs(folder))
    return joined.select([n for n in joined.collect_schema().names() if n not in outputs])


def read_outputs(folder: Path) -> tuple[str, ...]:
    """The columns that the server added to what clients sent, as the log's marker says. Raises Damaged."""
    try:
        found = json.loads(read_limited(folder / PREDICTION_LOG, LARGEST_MARKER))["outputs"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Damaged(
            f"{PREDICTION_LOG} in {folder} does not say which columns are outputs.",
            "Write it again: start 'evermodel serve' without this file, in whose place it puts a new one.",
        )
    return tuple(found)
