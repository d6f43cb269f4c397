"""The rows whose labels would tell most: drawn from the newest rows without one, and remembered with their chances."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.errors import AskedWrongly
from evermodel.core.files import write_whole
from evermodel.core.label_free import FEWEST, Sums, added
from evermodel.core.store import Event, Store
from evermodel.core.survey import chances, draw
from evermodel.core.table import Array
from evermodel.core.target import class_text
from evermodel.loop.watch_labels import rewritten
from evermodel.loop.watch_look import earlier
from evermodel.loop.watch_quality import predictions
from evermodel.loop.watch_rows import ASKED, CODE, ID, LOOK, Y
from evermodel.loop.watch_state import Part, State

POOL = 1_000  # rows, or ten for each that is drawn: the newest windows that hold so many without a label
MOST = 100_000


def asked_number(rows: int, to: str | Path | None) -> Path:
    """Where the file goes. Raises AskedWrongly for what cannot be drawn or written."""
    if not 1 <= rows <= MOST:
        raise AskedWrongly(f"--suggest must be in [1, {MOST:,}]. Got {rows}.")
    if to is None or Path(to).suffix not in (".csv", ".parquet"):
        raise AskedWrongly(f"--suggest needs a file to write to. Got {to}.", "Give --to ask.csv, or --to ask.parquet.")
    return Path(to)


def suggested(store: Store, contract: Contract, rows: int, to: Path, state: State | None) -> tuple[State, list[Event]]:
    """The state with ``rows`` rows asked for, and the file ``to`` with them. Raises AskedWrongly for too few."""
    pool = [] if state is None else _pool(store, state, max(POOL, 10 * rows))
    have = sum(open_.height for _, open_ in pool)
    if state is None or have < 2 * rows:
        raise AskedWrongly(
            f"{rows} rows cannot be drawn: {have} rows with an id have a prediction and no label.",
            "Watch rows with an id first (--id COLUMN), or ask for fewer.",
        )
    whole = pl.concat([open_ for _, open_ in pool], how="diagonal")
    chance = chances(_unsure(whole, contract, known_of(state)), rows)
    seed = state.counters.get("predictions", 0) + 7 * state.counters.get("labels", 0)
    at = draw(chance, seed)
    drawn = whole[at].with_columns(pl.Series(ASKED, chance[at]))
    parts = [_noted(store, state, p, drawn) for p in state.parts]
    write_whole(to, lambda at: _write(_shown(drawn, contract), at))
    return dataclasses.replace(state, parts=tuple(parts)).counted(suggested=rows), []


def _pool(store: Store, state: State, least: int) -> list[tuple[Part, pl.DataFrame]]:
    """Rows that may be asked for, of the newest windows of the version in service, whole windows at a time."""
    found = []
    for part in state.parts:
        if part.version == state.version:
            rows = pl.read_parquet(store.blob(part.blob))
            free = pl.col(ASKED).is_null() if ASKED in rows.columns else pl.lit(True)
            usable = pl.col(Y).is_null() & pl.col(CODE).is_not_null() & pl.col(ID).is_not_null() & free
            found.append((part, rows.filter(usable)))
    if not found:
        return []
    counts = pl.concat([f.select(LOOK) for _, f in found])[LOOK].value_counts().sort(LOOK, descending=True)
    held = counts["count"].cum_sum().to_numpy()
    kept = counts[LOOK][: int(np.searchsorted(held, least)) + 1].to_list()
    return [(p, f.filter(pl.col(LOOK).is_in(kept))) for p, f in found]


def known_of(state: State) -> Sums | None:
    """The sums over the labelled rows seen so far; None for too few."""
    watched = state.watched.get(state.version)
    told = earlier(watched.looks, "~") if watched is not None else []
    found = added(told) if told else None
    return found if found is not None and found[0] >= FEWEST else None


def calibrated(sure: Array, known: Sums | None) -> Array:
    """(n,) chance of being right: confidence, believed as far as it foretold the labelled rows.

    Confidence that foretells nothing would ask for rows that tell no more than others, at a loss.
    """
    if known is None:
        return sure
    n, right, f, _, rf, ff = known
    spread = ff / n - (f / n) ** 2
    slope = min(1.0, max(0.0, (rf / n - right * f / n**2) / spread)) if spread > 0 else 0.0
    return np.asarray(np.clip(right / n + slope * (sure - f / n), 0.02, 0.98))


def _unsure(rows: pl.DataFrame, contract: Contract, known: Sums | None) -> Array:
    """(n,) scatter of being right, by the model's own confidence; the same for all where that is not known."""
    if contract.task == "regression":
        return np.ones(rows.height)
    p, whole = predictions(rows, contract)
    if not whole:
        return np.ones(rows.height)
    sure = p[np.arange(len(p)), rows[CODE].to_numpy().astype(np.int64)]
    sure = calibrated(sure, known)
    return np.asarray(np.sqrt(np.clip(sure * (1.0 - sure), 0.0, None)))


def _noted(store: Store, state: State, part: Part, drawn: pl.DataFrame) -> Part:
    rows = pl.read_parquet(store.blob(part.blob))
    known = rows.join(drawn.select(ID, LOOK, pl.col(ASKED).alias("__new")), on=[ID, LOOK], how="left",
                      maintain_order="left")  # fmt: skip
    if not known["__new"].count():
        return part
    old = pl.col(ASKED) if ASKED in known.columns else pl.lit(None, pl.Float64)
    return rewritten(store, state, part, known.with_columns(pl.coalesce(old, "__new").alias(ASKED)).drop("__new"))


def _shown(drawn: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """id, what the model said, the chance the row was drawn with, and the target's column to be filled in."""
    said = drawn[CODE]
    if contract.task != "regression":
        names = [class_text(c) for c in contract.classes]
        said = pl.Series("prediction", [names[int(c)] for c in said])
    return pl.DataFrame([drawn[ID].alias("id"), said.alias("prediction"), drawn[ASKED].alias("probability"),
                         pl.Series(str(contract.roles.target), [None] * drawn.height, dtype=pl.String)])  # fmt: skip


def _write(frame: pl.DataFrame, at: Path) -> None:
    frame.write_csv(at) if at.suffix == ".csv" else frame.write_parquet(at)
