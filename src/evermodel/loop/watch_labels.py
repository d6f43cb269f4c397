"""Labels that came after their rows: joined to the kept predictions, or kept until their rows come."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import polars as pl

from evermodel.core.clock import seconds
from evermodel.core.contract import Contract
from evermodel.core.errors import AskedWrongly, ContractBroken
from evermodel.core.reading import collect, scan
from evermodel.core.row_cleaning import target_value
from evermodel.core.store import Store
from evermodel.core.values import canonical_text
from evermodel.loop.watch_intake import label_sums
from evermodel.loop.watch_merge import holder
from evermodel.loop.watch_rows import ASKED, CODE, ID, LOOK, Cut, Y, id_columns, look_names
from evermodel.loop.watch_state import Look, Part, State

MOST_WAITING = 1_000_000  # labels kept whose rows have not come

Touched = dict[str, set[str]]  # version -> keys of its looks


def read_labels(source: Any, contract: Contract, id_: str | None) -> tuple[pl.DataFrame, int]:
    """Usable labels (ID, Y), the last of each id, and how many were repeated. Raises ContractBroken, AskedWrongly."""
    frame, target = scan(source), str(contract.roles.target)
    schema = frame.collect_schema()
    if target not in schema:
        raise ContractBroken(f"The labels have no column {target!r}. They have {', '.join(schema.names()[:10])}.")
    keys = id_columns(schema.names(), contract, id_)
    if not keys:
        raise AskedWrongly("The labels cannot be joined: no column says which row is which.", "Name it with --id.")
    id_of = pl.concat_str([canonical_text(pl.col(k), schema[k]).fill_null("") for k in keys], separator="|")
    found = collect(frame.select(id_of.alias(ID), target_value(contract, schema).cast(pl.Float64).alias(Y)))
    found = found.drop_nulls()
    once = found.unique(ID, keep="last", maintain_order=True)
    return once, found.height - once.height


def take_labels(
    store: Store, state: State, contract: Contract, labels: pl.DataFrame, repeated: int, cut: Cut
) -> tuple[State, Touched]:
    """The state with labels at their rows; those without a row wait for it."""
    before = sum(state.delays.values())
    state, touched, left = joined(store, state, contract, labels, cut)
    fresh = sum(state.delays.values()) - before  # the others had their label already
    counted = state.counted(labels=fresh, batches=1, duplicates=repeated + labels.height - left.height - fresh)
    gauges = {**counted.gauges, "last_label": seconds()} if fresh else counted.gauges
    counted = dataclasses.replace(counted, gauges=gauges)
    return _waiting(store, counted, left, waited=False), touched


def take_waiting(store: Store, state: State, contract: Contract, cut: Cut) -> tuple[State, Touched]:
    """Labels that came before their rows, tried again; those that still have none count as strangers, once."""
    all_touched: Touched = {}
    entries, state = state.waiting, dataclasses.replace(state, waiting=())
    for entry in entries:
        labels = pl.read_parquet(store.blob(str(entry["blob"])))
        before = sum(state.delays.values())
        state, touched, left = joined(store, state, contract, labels, cut)
        for version, keys in touched.items():
            all_touched.setdefault(version, set()).update(keys)
        fresh = sum(state.delays.values()) - before
        state = state.counted(labels=fresh, strangers=0 if entry["waited"] else left.height)
        state = _waiting(store, state, left, waited=True)
    return state, all_touched


def joined(
    store: Store, state: State, contract: Contract, labels: pl.DataFrame, cut: Cut
) -> tuple[State, Touched, pl.DataFrame]:
    """The labels put to rows that have none yet, newest parts first; and the labels that are left."""
    touched: Touched = {}
    parts, delays = list(state.parts), dict(state.delays)
    watched = dict(state.watched)
    for at in range(len(parts) - 1, -1, -1):
        if not labels.height:
            break
        part = parts[at]
        rows = pl.read_parquet(store.blob(part.blob))
        known = rows.join(labels.rename({Y: "__new"}), on=ID, how="left", maintain_order="left")
        fresh = known[Y].is_null() & known["__new"].is_not_null()
        labels = labels.join(rows.select(ID).drop_nulls(), on=ID, how="anti")
        if not fresh.any():
            continue
        rows = known.with_columns(pl.coalesce(Y, "__new").alias(Y)).drop("__new")
        parts[at] = rewritten(store, state, part, rows)
        looks = dict(watched[part.version].looks)
        for look in _sums(rows.filter(fresh), contract, watched[part.version].loss_edge, cut, looks):
            looks[look.key] = looks[look.key] + look
        for (start,), _ in rows.filter(fresh).group_by(LOOK):
            touched.setdefault(part.version, set()).add(look_names(int(str(start)), cut, cut.rows)[0])
        watched[part.version] = dataclasses.replace(watched[part.version], looks=looks)
        bucket = _bucket(seconds() - part.arrived)
        delays[bucket] = delays.get(bucket, 0) + int(fresh.sum())
    state = dataclasses.replace(state, parts=tuple(parts), watched=watched, delays=delays)
    return state, touched, labels


def _sums(rows: pl.DataFrame, contract: Contract, edge: float, cut: Cut, looks: dict[str, Look]) -> list[Look]:
    found = []
    if ASKED in rows.columns:  # the least certain rows were asked for: they say nothing of how often the others err
        rows = rows.filter(pl.col(ASKED).is_null())
    for (start,), of in rows.filter(pl.col(CODE).is_not_null()).group_by(LOOK):
        key = holder(looks, look_names(int(str(start)), cut, cut.rows)[0])
        if key not in looks:
            continue
        was = looks[key]
        found.append(Look(key, was.start, was.end, 0, *label_sums(of, contract, edge)))
    return found


def rewritten(store: Store, state: State, part: Part, rows: pl.DataFrame) -> Part:
    staged = store.stage() / "part.parquet"
    about = {"monitor": state.name, "version": part.version, "arrived": repr(part.arrived)}
    rows.write_parquet(staged, metadata=about)
    return dataclasses.replace(part, blob=store.keep(staged), labelled=rows[Y].count())


def _waiting(store: Store, state: State, left: pl.DataFrame, *, waited: bool) -> State:
    if not left.height:
        return state
    staged = store.stage() / "labels.parquet"
    left.write_parquet(staged, metadata={"monitor": state.name})
    entry = {"blob": store.keep(staged), "rows": left.height, "waited": waited}
    waiting = (*state.waiting, entry)
    while len(waiting) > 1 and sum(int(w["rows"]) for w in waiting) > MOST_WAITING:
        waiting = waiting[1:]
    return dataclasses.replace(state, waiting=waiting)


def _bucket(seconds: float) -> str:
    return str(2 ** max(0, math.ceil(math.log2(max(seconds, 1.0)))))
