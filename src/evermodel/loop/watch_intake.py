"""One delivery of rows becomes part of the state: counted by look, predictions kept until their labels come."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.cells import JOINT
from evermodel.core.clock import seconds
from evermodel.core.contract import Contract
from evermodel.core.model import Model
from evermodel.core.reading import scan
from evermodel.core.reference import Counted, count_column
from evermodel.core.store import Store
from evermodel.core.table import Array
from evermodel.loop.watch_quality import predicted_counts, predictions
from evermodel.loop.watch_reference import PREDICTION, losses, prediction_series
from evermodel.loop.watch_rows import CODE, ID, KIND, LOOK, TIME, Asked, Block, Cut, Y, blocks, look_into, look_names
from evermodel.loop.watch_state import Look, Part, State, Watched

PART_ROWS = 500_000  # rows a stored part
MOST_KEPT = 2_000_000  # rows whose predictions are kept, waiting for labels
KINDS_SAID = 16  # kinds of answers; with the cells of the inputs below ``ALL_KINDS``
ALL_KINDS = KINDS_SAID * 16
DAY = 86_400.0
LATENCIES = 200


def take_rows(
    store: Store, state: State, model: Model, data: Any, cut: Cut, id_: str | None, second: Model | None = None
) -> tuple[State, set[str]]:
    """The state with all rows of ``data`` in it, and the keys of the looks that got rows. Memory stays flat."""
    asked = look_into(scan(data), model.contract, id_)
    watched = state.watched[state.version]
    intake = Intake(store, state, watched, model.contract, asked, cut)
    for block in blocks(asked, model, cut, state.counters.get("predictions", 0), second):
        intake.add(block)
    return intake.finished(), set(intake.touched)


class Intake:
    """Adds up the blocks of one delivery."""

    def __init__(
        self, store: Store, state: State, watched: Watched, contract: Contract, asked: Asked, cut: Cut
    ) -> None:
        self.store, self.state, self.watched, self.contract = store, state, watched, contract
        self.asked, self.cut = asked, cut
        self.touched: dict[str, Look] = {}
        self.pending: list[pl.DataFrame] = []
        self.parts: list[Part] = []
        self.known = _known_ids(store, state) if asked.keys else np.empty(0, dtype=np.uint64)
        self.counts = {"predictions": 0, "labels": 0, "duplicates": 0, "clock": 0}
        self.latencies: list[tuple[float, int]] = []
        self.newest = -np.inf
        self.last_look: int | None = None

    def add(self, block: Block) -> None:
        kept, inputs = self._clocked(*self._once(block.kept, block.inputs))
        if not kept.height:
            return
        if self.contract.task == "regression":
            kept = kept.with_columns(kinds_of(kept, inputs, self.watched))
        self.counts["predictions"] += kept.height
        self.counts["labels"] += kept[Y].count()
        if np.isfinite(block.seconds):
            self.latencies.append((block.seconds, block.kept.height))
        for (start,), at in kept.with_row_index("__at").group_by(LOOK, maintain_order=True):
            index = at["__at"].to_numpy()
            look = self._look(int(str(start)), kept[index], inputs[index])
            self.touched[look.key] = self.touched[look.key] + look if look.key in self.touched else look
        self.pending.append(kept)
        if sum(p.height for p in self.pending) >= PART_ROWS:
            self._flush()

    def _once(self, kept: pl.DataFrame, inputs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Each id once; a row that came before is counted as a duplicate and left out."""
        if not self.asked.keys:
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
        """Rows without a time, or from the future, go where the rows before them went."""
        wrong = (kept[TIME] > seconds() + DAY).fill_null(False)
        if self.asked.dated:
            self.counts["clock"] += int(wrong.sum()) + kept[TIME].null_count()
        kept = kept.with_columns(
            pl.when(~wrong).then(pl.col(TIME)).alias(TIME),
            (pl.col(LOOK) if self.cut.rows else pl.when(~wrong).then(pl.col(LOOK))).alias(LOOK),
        )
        times = kept[TIME].drop_nulls().to_numpy()
        self.newest = max(self.newest, float(times.max(initial=-np.inf)))
        if kept[LOOK].null_count():
            filled = kept[LOOK].fill_null(strategy="forward")
            fallback = self.last_look if self.last_look is not None else filled.drop_nulls().first()
            if fallback is None:
                fallback = int(seconds() // self.cut.seconds * self.cut.seconds)
            kept = kept.with_columns(filled.fill_null(pl.lit(fallback)))
        if kept.height:
            self.last_look = int(kept[LOOK][-1])
        return kept, inputs

    def _look(self, start: int, kept: pl.DataFrame, inputs: pl.DataFrame) -> Look:
        key, begins, ends = look_names(start, self.cut, self.cut.rows)
        columns: dict[str, Counted] = {
            n: count_column(inputs[n], r)
            for n, r in self.watched.columns.items()
            if n in inputs.columns and n not in self.asked.gone
        }
        cells, joint = self.watched.cells, self.watched.columns.get(JOINT)
        if cells is not None and joint is not None and cells.names <= set(inputs.columns) - set(self.asked.gone):
            columns[JOINT] = count_column(cells(inputs), joint)
        answered = kept.filter(pl.col(CODE).is_not_null())
        said = self.watched.columns.get(PREDICTION)
        if said is not None and answered.height:
            p, whole = predictions(answered, self.contract)
            if whole or said.kind == "category":
                columns[PREDICTION] = count_column(prediction_series(p, self.contract.classes), said)
        sums = label_sums(answered, self.contract, self.watched.loss_edge)
        said_counts = predicted_counts(kept, self.contract)
        return Look(key, begins, ends, kept.height, *sums, columns=columns, predicted=said_counts)

    def _flush(self) -> None:
        if self.pending:
            self.parts.append(write_part(self.store, pl.concat(self.pending, how="diagonal"), self.state, self.cut))
            self.pending = []

    def _answers_alone(self) -> bool:
        """Predictions without the inputs they were made from: nothing is gone, nothing can be said of the inputs."""
        return self.asked.given and len(self.asked.gone) == len(self.contract.names)

    def finished(self) -> State:
        """The state with the delivery in it."""
        self._flush()
        looks = dict(self.watched.looks)
        for key, look in self.touched.items():
            looks[key] = looks[key] + look if key in looks else look
        watched = dataclasses.replace(self.watched, looks=dict(sorted(looks.items())))
        gauges, now = dict(self.state.gauges), seconds()
        newest = self.newest if np.isfinite(self.newest) else now
        gauges["last_row"] = max(newest, gauges.get("last_row", newest))
        if self.counts["labels"]:
            gauges["last_label"] = now
        predicted: dict[str, int] = {}
        for look in self.touched.values():
            for c, n in look.predicted.items():
                predicted[f"predicted.{c}"] = predicted.get(f"predicted.{c}", 0) + n
        parts = (*self.state.parts, *self.parts)
        while len(parts) > 1 and sum(p.rows for p in parts) > MOST_KEPT:
            parts = parts[1:]
        state = dataclasses.replace(
            self.state,
            watched={**self.state.watched, self.state.version: watched},
            parts=parts,
            gauges=gauges,
            gone=() if self._answers_alone() else self.asked.gone,
            latencies=(*self.state.latencies, *self.latencies)[-LATENCIES:],
        )
        return state.counted(batches=1, **self.counts, **predicted)


def kinds_of(kept: pl.DataFrame, inputs: pl.DataFrame, watched: Watched) -> pl.Series:
    """Which rows of a regression err alike: by the cell of their inputs and by what was answered; null: not known."""
    said, cells = watched.columns.get(PREDICTION), watched.cells
    kind, known = np.zeros(kept.height, dtype=np.int64), np.ones(kept.height, dtype=bool)
    if said is not None:
        code = kept[CODE].fill_null(float("nan")).to_numpy()
        known &= np.isfinite(code)
        kind += np.searchsorted(said.starts, np.searchsorted(said.edges, code, side="left"), side="right") - 1
    if cells is not None and cells.names <= set(inputs.columns):
        kind += KINDS_SAID * cells(inputs).str.slice(5).cast(pl.Int64).to_numpy()
    return pl.Series(KIND, kind).set(pl.Series(~known), None)


def label_sums(answered: pl.DataFrame, contract: Contract, edge: float) -> tuple[int, int, int]:
    """Labelled rows, wrong answers and large losses among rows that were answered."""
    known = answered.filter(pl.col(Y).is_not_null())
    if not known.height:
        return 0, 0, 0
    y: Array = known[Y].to_numpy()
    p, whole = predictions(known, contract)
    wrong = 0 if contract.task == "regression" else int((known[CODE].to_numpy() != y).sum())
    large = int((losses(y, p) > edge).sum()) if whole and np.isfinite(edge) else 0
    return known.height, wrong, large


def write_part(store: Store, rows: pl.DataFrame, state: State, cut: Cut) -> Part:
    keys = tuple(look_names(int(s), cut, cut.rows)[0] for s in rows[LOOK].unique().sort())
    arrived = seconds()
    staged = store.stage() / "part.parquet"
    about = {"monitor": state.name, "version": state.version, "arrived": repr(arrived)}
    rows.write_parquet(staged, metadata=about)
    return Part(store.keep(staged), state.version, keys, rows.height, rows[Y].count(), arrived)


def _known_ids(store: Store, state: State) -> Array:
    of = (pl.read_parquet(store.blob(p.blob), columns=[ID])[ID].drop_nulls() for p in state.parts)
    return np.concatenate([np.empty(0, dtype=np.uint64), *(ids.hash(seed=0).to_numpy() for ids in of)])


def rows_of_look(store: Store, parts: tuple[Part, ...], version: str, key: str, start: int) -> pl.DataFrame:
    """All kept rows of one look of one version."""
    found = [_of(store, p, start) for p in parts if p.version == version and key in p.looks]
    return pl.concat(found, how="diagonal") if found else pl.DataFrame()


def _of(store: Store, part: Part, start: int) -> pl.DataFrame:
    return pl.scan_parquet(store.blob(part.blob)).filter(pl.col(LOOK) == start).collect()
