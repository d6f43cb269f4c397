"""Adds a delivery of rows to the state: rows are counted by window, predictions stored until their labels arrive."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.clock import current_seconds
from evermodel.core.data.contract import Contract
from evermodel.core.data.scan import scan
from evermodel.core.data.target_column import class_text
from evermodel.core.model.model import Model
from evermodel.core.stats.reference_bins import count_groups
from evermodel.core.stats.row_cells import JOINT
from evermodel.core.store import Store
from evermodel.monitoring.monitor_state import MonitorState, StoredRows, VersionMonitor, WindowCounts
from evermodel.monitoring.performance import count_predictions, read_predictions
from evermodel.monitoring.reference import PREDICTION, compute_losses, select_prediction
from evermodel.monitoring.texts.text_columns import count_texts, find_text_network
from evermodel.monitoring.texts.text_counts import TextCounts
from evermodel.monitoring.texts.text_reference import NO_NETWORK, TextNetwork
from evermodel.monitoring.texts.written_answers import sum_answers
from evermodel.monitoring.watched_rows import (
    CODE,
    ERROR_GROUP,
    ID,
    TIME,
    WINDOW,
    Block,
    IncomingRows,
    WindowSize,
    Y,
    inspect_rows,
    keep_known,
    name_window,
    predict_blocks,
)

PART_ROWS = 500_000  # rows a stored part
HeldRows = dict[str, dict[int, pl.DataFrame]]  # blob -> window -> its rows
MOST_READ = 3  # parts that are held while windows are measured
MOST_KEPT = 2_000_000  # rows whose predictions are stored until their labels arrive
PREDICTION_GROUPS = 16  # with at most 16 cells of the inputs
ALL_GROUPS = PREDICTION_GROUPS * 16
DAY = 86_400.0
LATENCIES = 200
MOST_CLASSES = 100  # of which wrong answers are counted class by class


def take_rows(
    store: Store,
    state: MonitorState,
    model: Model,
    data: Any,
    cut: WindowSize,
    id_: str | None,
    second: Model | None = None,
    *,
    shuffled: bool = False,
) -> tuple[MonitorState, set[str]]:
    """The state with all rows of ``data`` in it, and the keys of the windows that got rows. Memory stays flat.

    ``shuffled``: the order of the rows means nothing, so that windows are drawn from all of them.
    """
    rows = scan(data, model.contract.row_format)
    incoming = inspect_rows(shuffle_rows(rows) if shuffled else rows, model.contract, id_)
    watched = state.watched[state.version]
    intake = Intake(store, state, watched, model.contract, incoming, cut)
    # Answers of free text are always given, and how likely its prompts are the network alone can say.
    if watched.texts and (not incoming.given or model.contract.task == "text"):
        intake.network = find_text_network(model)
    for block in predict_blocks(incoming, model, cut, state.counters.get("predictions", 0), second):
        intake.add(block)
    return intake.build_state(), set(intake.touched)


def shuffle_rows(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows in an order that hangs on their number alone; a file that is sorted by class becomes a mixture."""
    number = "__number"
    return rows.with_row_index(number).sort(pl.col(number).hash(seed=0)).drop(number)


class Intake:
    """Adds up the blocks of one delivery."""

    def __init__(
        self,
        store: Store,
        state: MonitorState,
        watched: VersionMonitor,
        contract: Contract,
        incoming: IncomingRows,
        cut: WindowSize,
    ) -> None:
        self.store, self.state, self.watched, self.contract = store, state, watched, contract
        self.incoming, self.cut = incoming, cut
        self.touched: dict[str, WindowCounts] = {}
        self.pending: list[pl.DataFrame] = []
        self.stored_rows: list[StoredRows] = []
        self.known = _known_ids(store, state) if incoming.keys else np.empty(0, dtype=np.uint64)
        self.counts = {"predictions": 0, "labels": 0, "duplicates": 0, "clock": 0}
        self.latencies: list[tuple[float, int]] = []
        self.newest = -np.inf
        self.last_window: int | None = None
        self.recent_texts = watched.recent_texts
        self.network: TextNetwork = NO_NETWORK

    def add(self, block: Block) -> None:
        """Counts the rows of a block by window, and stores their predictions."""
        kept, inputs = self._clocked(*self._once(block.kept, block.inputs))
        if not kept.height:
            return
        if self.contract.task == "regression":
            kept = kept.with_columns(assign_error_groups(kept, inputs, self.watched))
        self.counts["predictions"] += kept.height
        self.counts["labels"] += kept[Y].count()
        if np.isfinite(block.seconds):
            self.latencies.append((block.seconds, block.kept.height))
        for window in self._count_windows(kept, inputs):
            self.touched[window.key] = self.touched[window.key] + window if window.key in self.touched else window
        self.pending.append(kept)
        if sum(p.height for p in self.pending) >= PART_ROWS:
            self._flush()

    def _once(self, kept: pl.DataFrame, inputs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Each id once; a row that was delivered before is counted as a duplicate and left out."""
        if not self.incoming.keys:
            return kept, inputs
        hashes = kept[ID].hash(seed=0).to_numpy()
        _, first = np.unique(hashes, return_index=True)
        fresh = np.zeros(len(hashes), dtype=bool)
        fresh[first] = True
        fresh &= ~np.isin(hashes, self.known)
        self.known = np.concatenate([self.known, hashes[fresh]])
        self.counts["duplicates"] += int((~fresh).sum())
        return kept.filter(fresh), inputs.filter(fresh)

    def _clocked(self, kept: pl.DataFrame, inputs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows without a time, or from the future, go into the window of the rows before them."""
        wrong = (kept[TIME] > current_seconds() + DAY).fill_null(False)
        if self.incoming.dated:
            self.counts["clock"] += int(wrong.sum()) + kept[TIME].null_count()
        kept = kept.with_columns(
            pl.when(~wrong).then(pl.col(TIME)).alias(TIME),
            (pl.col(WINDOW) if self.cut.rows else pl.when(~wrong).then(pl.col(WINDOW))).alias(WINDOW),
        )
        times = kept[TIME].drop_nulls().to_numpy()
        self.newest = max(self.newest, float(times.max(initial=-np.inf)))
        if kept[WINDOW].null_count():
            filled = kept[WINDOW].fill_null(strategy="forward")
            fallback = self.last_window if self.last_window is not None else filled.drop_nulls().first()
            if fallback is None:
                fallback = int(current_seconds() // self.cut.seconds * self.cut.seconds)
            kept = kept.with_columns(filled.fill_null(pl.lit(fallback)))
        if kept.height:
            self.last_window = int(kept[WINDOW][-1])
        return kept, inputs

    def _count_windows(self, kept: pl.DataFrame, inputs: pl.DataFrame) -> list[WindowCounts]:
        """The rows counted by window: their columns all at once, since a block holds many small windows."""
        starts, codes, rows = np.unique(kept[WINDOW].to_numpy(), return_inverse=True, return_counts=True)
        present = set(inputs.columns) - set(self.incoming.missing_columns)
        known, cells, n = self.watched.columns, self.watched.cells, len(starts)
        columns = {c: count_groups(inputs[c], codes, n, r) for c, r in known.items() if c in present}
        if cells and JOINT in known and {c[0] for c in (*cells.numbers, *cells.categories)} <= present:
            columns[JOINT] = count_groups(cells(inputs), codes, n, known[JOINT])
        texts: Mapping[str, list[TextCounts]] = {}
        if self.watched.texts:
            known_texts = inputs.drop([c for c in self.incoming.missing_columns if c in inputs.columns])
            counted = count_texts(known_texts, self.watched.texts, known, self.recent_texts, codes, n, self.network)
            columns, texts = {**columns, **counted.columns}, counted.sums
            self.recent_texts = counted.recent
        order = np.argsort(codes, kind="stable")
        ordered = kept if (order == np.arange(len(order))).all() else kept[order]
        prediction, windows = known.get(PREDICTION), []
        for i, (start, end) in enumerate(zip(starts, np.cumsum(rows), strict=True)):
            part = ordered.slice(end - rows[i], rows[i])
            counts, answered = {name: of[i] for name, of in columns.items()}, keep_known(part, CODE)
            if prediction is not None and answered.height:
                p, whole = read_predictions(answered, self.contract)
                if whole or prediction.kind == "category":
                    values, all_rows = select_prediction(p, self.contract.classes), np.zeros(len(p), dtype=np.int64)
                    counts[PREDICTION] = count_groups(values, all_rows, 1, prediction)[0]
            names = name_window(int(start), self.cut, self.cut.rows)
            sums = sum_labels(answered, self.contract, self.watched.loss_edge)
            predicted = count_predictions(part, self.contract)
            texts_of = {name: of[i] for name, of in texts.items()}
            wrong = count_class_errors(answered, self.contract) if self.contract.task == "multiclass" else {}
            window = WindowCounts(*names, part.height, *sums, counts, predicted, texts=texts_of, by_class=wrong)
            writes = self.contract.task == "text"
            windows.append(dataclasses.replace(window, answers=sum_answers(part)) if writes else window)
        return windows

    def _flush(self) -> None:
        if self.pending:
            self.stored_rows.append(
                write_rows(self.store, pl.concat(self.pending, how="diagonal"), self.state, self.cut)
            )
            self.pending = []

    def build_state(self) -> MonitorState:
        """The state with the delivery in it."""
        self._flush()
        windows = dict(self.watched.windows)
        for key, window in self.touched.items():
            windows[key] = windows[key] + window if key in windows else window
        watched = dataclasses.replace(
            self.watched, windows=dict(sorted(windows.items())), recent_texts=self.recent_texts
        )
        gauges, now = dict(self.state.gauges), current_seconds()
        newest = self.newest if np.isfinite(self.newest) else now
        gauges["last_row"] = max(newest, gauges.get("last_row", newest))
        if self.counts["labels"]:
            gauges["last_label"] = now
        predicted: dict[str, int] = {}
        for window in self.touched.values():
            for c, n in window.predicted.items():
                predicted[f"predicted.{c}"] = predicted.get(f"predicted.{c}", 0) + n
        alone = self.incoming.given and len(self.incoming.missing_columns) == len(self.contract.names)
        parts = (*self.state.stored_rows, *self.stored_rows)
        while len(parts) > 1 and sum(p.rows for p in parts) > MOST_KEPT:
            parts = parts[1:]
        state = dataclasses.replace(
            self.state,
            watched={**self.state.watched, self.state.version: watched},
            stored_rows=parts,
            gauges=gauges,
            # Predictions that came without any of their inputs miss no column.
            missing_columns=() if alone else self.incoming.missing_columns,
            latencies=(*self.state.latencies, *self.latencies)[-LATENCIES:],
        )
        return state.add_to_counters(batches=1, **self.counts, **predicted)


def assign_error_groups(kept: pl.DataFrame, inputs: pl.DataFrame, watched: VersionMonitor) -> pl.Series:
    """Groups of rows of a regression with similar errors, by the cell of their inputs and by their prediction."""
    prediction, cells = watched.columns.get(PREDICTION), watched.cells
    group, defined = np.zeros(kept.height, dtype=np.int64), np.ones(kept.height, dtype=bool)
    if prediction is not None:
        code = kept[CODE].fill_null(float("nan")).to_numpy()
        defined &= np.isfinite(code)
        group += (
            np.searchsorted(prediction.starts, np.searchsorted(prediction.edges, code, side="left"), side="right") - 1
        )
    if cells is not None and {n[0] for n in (*cells.numbers, *cells.categories)} <= set(inputs.columns):
        group += PREDICTION_GROUPS * cells(inputs).str.slice(5).cast(pl.Int64).to_numpy()
    return pl.Series(ERROR_GROUP, group).set(pl.Series(~defined), None)


def sum_labels(answered: pl.DataFrame, contract: Contract, edge: float) -> tuple[int, int, int]:
    """Counts labelled rows, wrong answers and large losses among rows with a prediction."""
    labelled = keep_known(answered, Y)
    if not labelled.height:
        return 0, 0, 0
    y: Array = labelled[Y].to_numpy()
    p, whole = read_predictions(labelled, contract)
    wrong = 0 if not contract.classes else int((labelled[CODE].to_numpy() != y).sum())
    large = int((compute_losses(y, p) > edge).sum()) if whole and np.isfinite(edge) else 0
    return labelled.height, wrong, large


def count_class_errors(answered: pl.DataFrame, contract: Contract) -> dict[str, tuple[int, int]]:
    """Class in truth -> wrong and right answers among labelled rows with a prediction; none of too many classes."""
    if len(contract.classes) > MOST_CLASSES:
        return {}
    counts = (
        keep_known(answered, Y)
        .group_by(pl.col(Y).cast(pl.Int64).alias("class"))
        .agg(wrong=(pl.col(CODE) != pl.col(Y)).sum(), right=(pl.col(CODE) == pl.col(Y)).sum())
        .filter(pl.col("class").is_between(0, len(contract.classes) - 1))
    )
    return {class_text(contract.classes[c]): (wrong, right) for c, wrong, right in counts.sort("class").iter_rows()}


def write_rows(store: Store, rows: pl.DataFrame, state: MonitorState, cut: WindowSize) -> StoredRows:
    """Stores predicted rows as a blob."""
    keys = tuple(name_window(int(s), cut, cut.rows)[0] for s in rows[WINDOW].unique().sort())
    arrived = current_seconds()
    staged = store.staging_folder() / "part.parquet"
    about = {"monitor": state.name, "version": state.version, "arrived": repr(arrived)}
    rows.write_parquet(staged, metadata=about)
    return StoredRows(store.put_blob(staged), state.version, keys, rows.height, rows[Y].count(), arrived)


def _known_ids(store: Store, state: MonitorState) -> Array:
    of = (pl.read_parquet(store.get_blob(p.blob), columns=[ID])[ID].drop_nulls() for p in state.stored_rows)
    return np.concatenate([np.empty(0, dtype=np.uint64), *(ids.hash(seed=0).to_numpy() for ids in of)])


def read_window_rows(
    store: Store, parts: tuple[StoredRows, ...], version: str, key: str, held: HeldRows
) -> pl.DataFrame:
    """All stored rows of one window of one version. ``held`` keeps the last parts for the windows that follow."""
    start = int(key[1:]) - (10**12 if key[0] == "t" else 0)
    rows = []
    for blob in (p.blob for p in parts if p.version == version and key in p.windows):
        if blob not in held:
            if len(held) >= MOST_READ:
                held.pop(next(iter(held)))
            split = pl.read_parquet(store.get_blob(blob)).partition_by(WINDOW, as_dict=True)
            held[blob] = {int(window[0]): of_window for window, of_window in split.items()}
        rows.append(held[blob][start])
    return pl.concat(rows, how="diagonal") if rows else pl.DataFrame()
