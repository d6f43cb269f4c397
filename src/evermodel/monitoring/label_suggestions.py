"""Samples the rows whose labels would be most useful from the newest unlabelled rows, with known probabilities."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.target_column import class_text
from evermodel.core.data.text_tables.safe_csv import write_csv
from evermodel.core.errors import AskedWrongly
from evermodel.core.files import write_whole
from evermodel.core.records.event import Event
from evermodel.core.stats.accuracy_estimate import MIN_LABELLED, Sums, add_sums
from evermodel.core.stats.label_sampling import draw_rows, inclusion_probabilities
from evermodel.core.store import Store
from evermodel.monitoring.late_labels import rewrite_rows
from evermodel.monitoring.monitor_state import MonitorState, StoredRows
from evermodel.monitoring.performance import read_predictions
from evermodel.monitoring.watched_rows import CODE, ID, SAMPLED, WINDOW, Y
from evermodel.monitoring.windows import list_earlier_sums

POOL = 1_000  # unlabelled rows, or ten for each that is drawn, from the newest windows
MOST = 100_000


def check_request(rows: int, to: str | Path | None) -> Path:
    """The path of the file to write. Raises AskedWrongly for an impossible number of rows or kind of file."""
    if not 1 <= rows <= MOST:
        raise AskedWrongly(f"`suggest` must be in [1, {MOST:,}]. Got {rows}.")
    if to is None or Path(to).suffix not in (".csv", ".parquet"):
        raise AskedWrongly(f"`suggest` needs a file to write to. Got {to}.", "Name a .csv or .parquet file with `to`.")
    return Path(to)


def suggest_labels(
    store: Store, contract: Contract, rows: int, to: Path, state: MonitorState | None
) -> tuple[MonitorState, list[Event]]:
    """Samples ``rows`` rows, writes them to the file ``to`` and marks them in the state. Raises AskedWrongly."""
    pool = [] if state is None else _select_pool(store, state, max(POOL, 10 * rows))
    have = sum(unlabelled.height for _, unlabelled in pool)
    if state is None or have < 2 * rows:
        raise AskedWrongly(
            f"{rows} rows cannot be sampled: only {have} rows with an id have a prediction and no label.",
            "Watch rows with an id first (named with `id`), or ask for fewer.",
        )
    unlabelled_rows = pl.concat([unlabelled for _, unlabelled in pool], how="diagonal")
    chance = inclusion_probabilities(_estimate_uncertainty(unlabelled_rows, contract, sum_labelled(state)), rows)
    seed = state.counters.get("predictions", 0) + 7 * state.counters.get("labels", 0)
    at = draw_rows(chance, seed)
    drawn = unlabelled_rows[at].with_columns(pl.Series(SAMPLED, chance[at]))
    parts = [_mark_sampled(store, state, p, drawn) for p in state.stored_rows]
    write_whole(to, lambda at: _write(_build_request(drawn, contract), at))
    return dataclasses.replace(state, stored_rows=tuple(parts)).add_to_counters(suggested=rows), []


def _select_pool(store: Store, state: MonitorState, least: int) -> list[tuple[StoredRows, pl.DataFrame]]:
    """Rows that may be sampled, of the newest windows of the version in service, whole windows at a time."""
    pool = []
    for part in state.stored_rows:
        if part.version == state.version:
            rows = pl.read_parquet(store.get_blob(part.blob))
            free = pl.col(SAMPLED).is_null() if SAMPLED in rows.columns else pl.lit(True)
            usable = pl.col(Y).is_null() & pl.col(CODE).is_not_null() & pl.col(ID).is_not_null() & free
            pool.append((part, rows.filter(usable)))
    if not pool:
        return []
    counts = pl.concat([f.select(WINDOW) for _, f in pool])[WINDOW].value_counts().sort(WINDOW, descending=True)
    held = counts["count"].cum_sum().to_numpy()
    kept = counts[WINDOW][: int(np.searchsorted(held, least)) + 1].to_list()
    return [(p, f.filter(pl.col(WINDOW).is_in(kept))) for p, f in pool]


def sum_labelled(state: MonitorState) -> Sums | None:
    """The sums over all labelled rows so far; None for too few."""
    watched = state.watched.get(state.version)
    history = list_earlier_sums(watched.windows, "~") if watched is not None else []
    sums = add_sums(history) if history else None
    return sums if sums is not None and sums[0] >= MIN_LABELLED else None


def calibrate_confidence(confidence: Array, labelled: Sums | None) -> Array:
    """(n,) probability of being right: the confidence, calibrated on the labelled rows.

    Without calibration, useless confidence would select rows that are no more informative than others.
    """
    if labelled is None:
        return confidence
    n, right, f, _, rf, ff = labelled
    spread = ff / n - (f / n) ** 2
    slope = min(1.0, max(0.0, (rf / n - right * f / n**2) / spread)) if spread > 0 else 0.0
    return np.asarray(np.clip(right / n + slope * (confidence - f / n), 0.02, 0.98))


def _estimate_uncertainty(rows: pl.DataFrame, contract: Contract, labelled: Sums | None) -> Array:
    """(n,) standard deviation of being right, by the model's confidence; equal for all rows where that is unknown."""
    if contract.task == "regression":
        return np.ones(rows.height)
    p, whole = read_predictions(rows, contract)
    if not whole:
        return np.ones(rows.height)
    confidence = p[np.arange(len(p)), rows[CODE].to_numpy().astype(np.int64)]
    confidence = calibrate_confidence(confidence, labelled)
    return np.asarray(np.sqrt(np.clip(confidence * (1.0 - confidence), 0.0, None)))


def _mark_sampled(store: Store, state: MonitorState, part: StoredRows, drawn: pl.DataFrame) -> StoredRows:
    rows = pl.read_parquet(store.get_blob(part.blob))
    joined = rows.join(
        drawn.select(ID, WINDOW, pl.col(SAMPLED).alias("__new")), on=[ID, WINDOW], how="left", maintain_order="left"
    )
    if not joined["__new"].count():
        return part
    old = pl.col(SAMPLED) if SAMPLED in joined.columns else pl.lit(None, pl.Float64)
    return rewrite_rows(store, state, part, joined.with_columns(pl.coalesce(old, "__new").alias(SAMPLED)).drop("__new"))


def _build_request(drawn: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Id, prediction, probability with which the row was sampled, and the target's column to be filled in."""
    predictions = drawn[CODE]
    if contract.task != "regression":
        names = [class_text(c) for c in contract.classes]
        predictions = pl.Series("prediction", [names[int(c)] for c in predictions])
    return pl.DataFrame(
        [
            drawn[ID].alias("id"),
            predictions.alias("prediction"),
            drawn[SAMPLED].alias("probability"),
            pl.Series(str(contract.roles.target), [None] * drawn.height, dtype=pl.String),
        ]
    )


def _write(frame: pl.DataFrame, at: Path) -> None:
    write_csv(frame, at) if at.suffix == ".csv" else frame.write_parquet(at)
