"""Takes in what was delivered: rows, labels that came later; what is broken or does not fit is told, and kept out."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.data.contract import Contract
from evermodel.core.data.frame_digest import digest_frame
from evermodel.core.data.scan import as_path, collect, scan
from evermodel.core.data.values import canonical_text
from evermodel.core.errors import BadData, EvermodelError, NoRows, NotFound
from evermodel.core.files import digest_file
from evermodel.core.masking import mask_secrets
from evermodel.core.records.event import DeliveryRefused, EventKind
from evermodel.core.records.model_signature import RowFormat
from evermodel.maintenance.job_context import JobContext
from evermodel.maintenance.maintenance_state import DeliveredRows, Delivery, read_delivered_rows, store_delivered_rows
from evermodel.monitoring.watched_rows import find_id_columns
from evermodel.registry.lookup import champion_of
from evermodel.registry.row_memory import read_memory
from evermodel.registry.versions import load_version

__all__ = ["deliveries", "intake"]
KEY = "__key"
MOST_KNOWN = 5_000_000  # rows told apart from those that come


def intake(context: JobContext) -> JobContext:
    """Reads each new file of ``data`` and ``labels``; joins labels to the rows that waited for them.

    A file that cannot be read, or whose columns do not fit the model, is refused with the reason and read again when
    it changes; the others go on. A row that came before, by its id or as a whole where rows have a time, is left out.
    """
    card = champion_of(context.store, context.name)
    contract = load_version(context.store, card).contract
    contract = contract.with_classes(read_memory(context.store, context.name).classes)
    for what, source in (
        ("rows", context.policy.data),
        ("labels", context.policy.labels),
        ("predictions", context.policy.predictions),
    ):
        for one in deliveries(source) if source else ():
            context.progress(f"reading {one}")
            context = _taken(context, contract, what, one)
    return _expired(_joined(context, contract))


def deliveries(source: str) -> Iterator[Path | str]:
    """The files of a path, folder or glob, by name; or the one URL with its query."""
    if as_path(source) is None:
        yield source
        return
    path = Path(source).expanduser()
    found = sorted(path.iterdir()) if path.is_dir() else [Path(p) for p in sorted(glob.glob(str(path)))]  # noqa: PTH207
    yield from (p for p in found if p.is_file() and not p.name.startswith((".", "_")))


def _taken(context: JobContext, contract: Contract, what: str, source: Path | str) -> JobContext:
    name, frame = str(source), None
    row_format = contract.row_format if what == "rows" else RowFormat(contract.row_format.lists)
    try:
        digest = digest_file(source) if isinstance(source, Path) else ""
        if not digest:
            frame = collect(scan(source, row_format))
            digest = digest_frame(frame)
    except (EvermodelError, OSError) as error:
        return _refused(context, Delivery(name, what, f"unread {error}"[:200], context.now), error)
    if any(d.digest == digest and d.what == what for d in context.state.deliveries):
        return context
    delivery = Delivery(name, what, digest, context.now)
    try:
        frame = collect(scan(source, row_format)) if frame is None else frame
        if what == "rows":
            labelled = contract.roles.target in frame.columns
            compare_with_contract(contract, frame.lazy(), labelled=labelled).refuse()
        taken = dataclasses.replace(context, delivered=(*context.delivered, (source, what)))
        if what != "predictions":
            return _kept(taken, contract, frame, delivery)
    except (EvermodelError, OSError) as error:
        return _refused(context, delivery, error)
    return taken.with_state(deliveries=(*context.state.deliveries, dataclasses.replace(delivery, rows=frame.height)))


def _refused(context: JobContext, delivery: Delivery, error: Exception) -> JobContext:
    """Told once for each state of a source; nothing of it is used."""
    if isinstance(error, NoRows):  # nothing has come yet
        return context
    why = error.message if isinstance(error, EvermodelError) else str(error)
    if any(d.digest == delivery.digest and d.refused for d in context.state.deliveries):
        return context
    delivery = dataclasses.replace(delivery, refused=why)
    context = context.with_state(deliveries=(*context.state.deliveries, delivery))
    context = context.with_event(EventKind.DELIVERY_REFUSED, DeliveryRefused(delivery.source, (why,)))
    return context.with_note(mask_secrets(f"refused {delivery.source}: {why}"))


def _kept(context: JobContext, contract: Contract, frame: pl.DataFrame, delivery: Delivery) -> JobContext:
    if delivery.what == "labels":
        _label_columns(frame, contract, context.policy.id)
        rows = store_delivered_rows(context.store, frame, context.now)
        context = context.with_state(unmatched_labels=(*context.state.unmatched_labels, rows))
        fresh, repeated = frame, 0
    else:
        fresh, context = _once(context, contract, frame)
        repeated = frame.height - fresh.height
        target = contract.roles.target
        known = fresh[target].is_not_null() if target in fresh.columns else pl.repeat(False, fresh.height, eager=True)
        context = _ready(context, fresh.filter(known))
        if (~known).any():
            waiting = store_delivered_rows(context.store, fresh.filter(~known), context.now)
            context = context.with_state(waiting=(*context.state.waiting, waiting))
    delivery = dataclasses.replace(delivery, rows=fresh.height, repeated=repeated)
    context = context.with_state(deliveries=(*context.state.deliveries, delivery))
    again = f", {repeated:,} had come before" if repeated else ""
    return context.with_note(f"took {fresh.height:,} {delivery.what} from {delivery.source}{again}")


def _ready(context: JobContext, labelled: pl.DataFrame, *, late: bool = False) -> JobContext:
    if not labelled.height:
        return context
    rows = store_delivered_rows(context.store, labelled, context.now, late=late)
    return dataclasses.replace(context.with_state(ready=(*context.state.ready, rows)), fresh=(*context.fresh, labelled))


def _once(context: JobContext, contract: Contract, frame: pl.DataFrame) -> tuple[pl.DataFrame, JobContext]:
    """The rows that did not come before, where rows can be told apart: by an id, else as a whole with their time."""
    keys = find_id_columns(frame.columns, contract, context.policy.id or None)
    if not keys and contract.roles.time is None:
        return frame, context
    columns = list(keys) or [c for c in frame.columns if c != contract.roles.target]
    hashes = _hashes(frame, columns)
    known = _known(context)
    _, first = np.unique(hashes, return_index=True)
    fresh = np.zeros(len(hashes), dtype=bool)
    fresh[first] = True
    fresh &= ~np.isin(hashes, known)
    staged = context.store.staging_folder() / "known.parquet"
    every = np.concatenate([known, hashes[fresh]])[-MOST_KNOWN:]
    pl.DataFrame({KEY: every}).write_parquet(staged)
    return frame.filter(pl.Series(fresh)), context.with_state(known=context.store.put_blob(staged))


def _hashes(frame: pl.DataFrame, columns: list[str]) -> Array:
    text = [canonical_text(pl.col(c), frame.schema[c]).fill_null("") for c in columns]
    return frame.select(pl.concat_str(text, separator="|").hash(seed=0)).to_series().to_numpy()


def _known(context: JobContext) -> Array:
    if not context.state.known:
        return np.empty(0, dtype=np.uint64)
    return pl.read_parquet(context.store.get_blob(context.state.known))[KEY].to_numpy()


def _label_columns(frame: pl.DataFrame, contract: Contract, id_: str) -> tuple[str, ...]:
    keys = find_id_columns(frame.columns, contract, id_ or None)
    if not keys:
        raise BadData(
            "The labels cannot be joined: no column says which row is which.",
            "Name the column with the policy's key 'id'.",
        )
    if contract.roles.target not in frame.columns:
        raise NotFound.among("column", str(contract.roles.target), frame.columns)
    return keys


def _joined(context: JobContext, contract: Contract) -> JobContext:
    """Labels put to the rows that waited; both that find nothing go on waiting."""
    memory, target = context.state, str(contract.roles.target)
    if not memory.waiting or not memory.unmatched_labels:
        return context
    labels, rows = (
        read_delivered_rows(context.store, memory.unmatched_labels),
        read_delivered_rows(context.store, memory.waiting),
    )
    keys = list(_label_columns(labels, contract, context.policy.id))
    missing = [k for k in keys if k not in rows.columns]
    if missing:
        return context.with_note(f"the rows have no column {missing[0]!r}: labels cannot be joined to them")
    wanted, offered = _hashes(rows, keys), _hashes(labels, keys)
    rows = rows.with_columns(pl.Series(KEY, wanted)).drop(target, strict=False)
    labels = labels.with_columns(pl.Series(KEY, offered)).drop_nulls(target).unique(KEY, keep="last")
    both = rows.join(labels.select(KEY, target), on=KEY, how="inner", maintain_order="left").drop(KEY)
    left = rows.join(labels, on=KEY, how="anti", maintain_order="left").drop(KEY)
    unused = labels.join(rows, on=KEY, how="anti").drop(KEY)
    since = min(r.at for r in memory.waiting)
    waiting = (store_delivered_rows(context.store, left, since),) if left.height else ()
    strangers = (store_delivered_rows(context.store, unused, context.now),) if unused.height else ()
    context = context.with_state(waiting=waiting, unmatched_labels=strangers)
    if both.height:
        context = _ready(context, both, late=True).with_note(
            f"{both.height:,} labels found their rows; {left.height:,} wait"
        )
    return context


def _expired(context: JobContext) -> JobContext:
    """Rows whose labels have not come in ``label_delay`` are let go, and that is said."""
    oldest = context.now - context.policy.seconds("label_delay")
    gone: tuple[DeliveredRows, ...] = tuple(r for r in context.state.waiting if r.at < oldest)
    if not gone:
        return context
    context = context.with_state(waiting=tuple(r for r in context.state.waiting if r.at >= oldest))
    return context.with_note(f"{sum(r.rows for r in gone):,} rows got no label within {context.policy.label_delay}")
