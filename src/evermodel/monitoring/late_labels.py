"""Labels that arrive after their rows: joined to the stored predictions, or kept until their rows arrive."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import polars as pl

from evermodel.core.clock import current_seconds
from evermodel.core.data.contract import Contract
from evermodel.core.data.row_cleaning import target_value
from evermodel.core.data.scan import collect, scan
from evermodel.core.data.values import canonical_text
from evermodel.core.errors import AskedWrongly, ContractBroken
from evermodel.core.store import Store
from evermodel.monitoring.merge import find_window
from evermodel.monitoring.monitor_state import MonitorState, StoredRows, WaitingLabels, WindowCounts
from evermodel.monitoring.other_answers import join_labels_of_others, read_labels_of_others
from evermodel.monitoring.row_intake import count_class_errors, sum_labels
from evermodel.monitoring.watched_rows import (
    CODE,
    ID,
    SAMPLED,
    WINDOW,
    WindowSize,
    Y,
    find_id_columns,
    name_window,
    score_answers,
)

MOST_WAITING = 1_000_000  # labels kept whose rows have not arrived

ChangedWindows = dict[str, set[str]]  # version -> keys of its windows


def read_labels(source: Any, contract: Contract, id_: str | None) -> tuple[pl.DataFrame, int]:
    """Usable labels (ID, Y), the last of each id, and how many were repeated. Raises ContractBroken, AskedWrongly."""
    frame, target = scan(source), str(contract.roles.target)
    schema = frame.collect_schema()
    if target not in schema:
        raise ContractBroken(f"The labels have no column {target!r}. They have {', '.join(schema.names()[:10])}.")
    keys = find_id_columns(schema.names(), contract, id_)
    if not keys:
        raise AskedWrongly(
            "The labels cannot be joined: no column says which row is which.", "Name the column with `id`."
        )
    id_of = pl.concat_str([canonical_text(pl.col(k), schema[k]).fill_null("") for k in keys], separator="|")
    others = read_labels_of_others(contract, schema) if contract.outputs else {}
    label = target_value(contract, schema).cast(pl.String if contract.task == "text" else pl.Float64)
    labels = collect(frame.select(id_of.alias(ID), label.alias(Y), **others)).drop_nulls([ID, Y])
    once = labels.unique(ID, keep="last", maintain_order=True)
    return once, labels.height - once.height


def take_labels(
    store: Store, state: MonitorState, contract: Contract, labels: pl.DataFrame, repeated: int, cut: WindowSize
) -> tuple[MonitorState, ChangedWindows]:
    """The state with the labels joined to their rows; labels without a row are kept until it arrives."""
    before = sum(state.label_delays.values())
    state, touched, left = join_labels(store, state, contract, labels, cut)
    fresh = sum(state.label_delays.values()) - before  # the other rows had a label already
    counted = state.add_to_counters(labels=fresh, batches=1, duplicates=repeated + labels.height - left.height - fresh)
    gauges = {**counted.gauges, "last_label": current_seconds()} if fresh else counted.gauges
    counted = dataclasses.replace(counted, gauges=gauges)
    return _keep_waiting(store, counted, left, waited=False), touched


def join_waiting_labels(
    store: Store, state: MonitorState, contract: Contract, cut: WindowSize
) -> tuple[MonitorState, ChangedWindows]:
    """Tries kept labels again; those that still have no row count as unmatched, once."""
    all_touched: ChangedWindows = {}
    entries, state = state.waiting_labels, dataclasses.replace(state, waiting_labels=())
    for entry in entries:
        labels = pl.read_parquet(store.get_blob(entry.blob))
        before = sum(state.label_delays.values())
        state, touched, left = join_labels(store, state, contract, labels, cut)
        for version, keys in touched.items():
            all_touched.setdefault(version, set()).update(keys)
        fresh = sum(state.label_delays.values()) - before
        state = state.add_to_counters(labels=fresh, unmatched_labels=0 if entry.waited else left.height)
        state = _keep_waiting(store, state, left, waited=True)
    return state, all_touched


def join_labels(
    store: Store, state: MonitorState, contract: Contract, labels: pl.DataFrame, cut: WindowSize
) -> tuple[MonitorState, ChangedWindows, pl.DataFrame]:
    """Joins labels to rows that have none yet, the newest rows first; also returns the labels without a row."""
    touched: ChangedWindows = {}
    parts, label_delays = list(state.stored_rows), dict(state.label_delays)
    watched = dict(state.watched)
    for at in range(len(parts) - 1, -1, -1):
        if not labels.height:
            break
        part = parts[at]
        rows = pl.read_parquet(store.get_blob(part.blob))
        joined = rows.join(labels.rename({Y: "__new"}), on=ID, how="left", maintain_order="left")
        labels = labels.join(rows.select(ID).drop_nulls(), on=ID, how="anti")
        joined = join_labels_of_others(joined) if contract.outputs else joined
        if contract.task == "text":
            rows = score_answers(joined, "__new")
        else:
            rows = joined.with_columns(pl.coalesce(Y, "__new").alias(Y)).drop("__new")
        fresh = joined[Y].is_null() & rows[Y].is_not_null()
        if not fresh.any():
            continue
        parts[at] = rewrite_rows(store, state, part, rows)
        windows = dict(watched[part.version].windows)
        for window in _sum_window_labels(rows.filter(fresh), contract, watched[part.version].loss_edge, cut, windows):
            windows[window.key] = windows[window.key] + window
        for (start,), _ in rows.filter(fresh).group_by(WINDOW):
            touched.setdefault(part.version, set()).add(name_window(int(str(start)), cut, cut.rows)[0])
        watched[part.version] = dataclasses.replace(watched[part.version], windows=windows)
        bucket = _delay_bucket(current_seconds() - part.arrived)
        label_delays[bucket] = label_delays.get(bucket, 0) + int(fresh.sum())
    state = dataclasses.replace(state, stored_rows=tuple(parts), watched=watched, label_delays=label_delays)
    return state, touched, labels


def _sum_window_labels(
    rows: pl.DataFrame, contract: Contract, edge: float, cut: WindowSize, windows: dict[str, WindowCounts]
) -> list[WindowCounts]:
    sums = []
    if SAMPLED in rows.columns:  # sampled rows are the least certain ones, so their errors do not stand for the others
        rows = rows.filter(pl.col(SAMPLED).is_null())
    for (start,), of in rows.filter(pl.col(CODE).is_not_null()).group_by(WINDOW):
        key = find_window(windows, name_window(int(str(start)), cut, cut.rows)[0])
        if key not in windows:
            continue
        counted = windows[key]
        labels = sum_labels(of, contract, edge)
        wrong = count_class_errors(of, contract) if contract.task == "multiclass" else {}
        sums.append(WindowCounts(key, counted.start, counted.end, 0, *labels, by_class=wrong))
    return sums


def rewrite_rows(store: Store, state: MonitorState, part: StoredRows, rows: pl.DataFrame) -> StoredRows:
    """The stored rows as a new blob, after labels were joined or rows sampled."""
    staged = store.staging_folder() / "part.parquet"
    about = {"monitor": state.name, "version": part.version, "arrived": repr(part.arrived)}
    rows.write_parquet(staged, metadata=about)
    return dataclasses.replace(part, blob=store.put_blob(staged), labelled=rows[Y].count())


def _keep_waiting(store: Store, state: MonitorState, left: pl.DataFrame, *, waited: bool) -> MonitorState:
    if not left.height:
        return state
    staged = store.staging_folder() / "labels.parquet"
    left.write_parquet(staged, metadata={"monitor": state.name})
    entry = WaitingLabels(store.put_blob(staged), left.height, waited)
    waiting = (*state.waiting_labels, entry)
    while len(waiting) > 1 and sum(w.rows for w in waiting) > MOST_WAITING:
        waiting = waiting[1:]
    return dataclasses.replace(state, waiting_labels=waiting)


def _delay_bucket(current_seconds: float) -> str:
    return str(2 ** max(0, math.ceil(math.log2(max(current_seconds, 1.0)))))
