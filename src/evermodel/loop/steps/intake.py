"""Takes in what was delivered: rows, labels that came later; what is broken or does not fit is told, and kept out."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.difference import difference
from evermodel.core.digests import digest_frame
from evermodel.core.errors import BadData, EvermodelError, NoData, NotFound
from evermodel.core.files import digest_file
from evermodel.core.reading import as_path, collect, scan
from evermodel.core.table import Array
from evermodel.core.values import canonical_text
from evermodel.loop._maintain.memory import Delivery, Rows, get_rows, put_rows
from evermodel.loop._maintain.turn import Turn
from evermodel.loop.home import champion_of
from evermodel.loop.memory import read_memory
from evermodel.loop.versions import load_version
from evermodel.loop.watch_rows import id_columns

__all__ = ["deliveries", "intake"]
KEY = "__key"
MOST_KNOWN = 5_000_000  # rows told apart from those that come


def intake(turn: Turn) -> Turn:
    """Reads each new file of ``data`` and ``labels``; joins labels to the rows that waited for them.

    A file that cannot be read, or whose columns do not fit the model, is refused with the reason and read again when
    it changes; the others go on. A row that came before, by its id or as a whole where rows have a time, is left out.
    """
    card = champion_of(turn.store, turn.name)
    contract = load_version(turn.store, card).contract
    contract = contract.with_classes(read_memory(turn.store, turn.name).classes)
    for what, source in (("rows", turn.policy.data), ("labels", turn.policy.labels),
                         ("predictions", turn.policy.predictions)):  # fmt: skip
        for one in deliveries(source) if source else ():
            turn.progress(f"reading {one}")
            turn = _taken(turn, contract, what, one)
    return _expired(_joined(turn, contract))


def deliveries(source: str) -> Iterator[Path | str]:
    """The files of a path, folder or glob, by name; or the one URL with its query."""
    if as_path(source) is None:
        yield source
        return
    path = Path(source).expanduser()
    found = sorted(path.iterdir()) if path.is_dir() else [Path(p) for p in sorted(glob.glob(str(path)))]  # noqa: PTH207
    yield from (p for p in found if p.is_file() and not p.name.startswith((".", "_")))


def _taken(turn: Turn, contract: Contract, what: str, source: Path | str) -> Turn:
    name, frame = str(source), None
    try:
        digest = digest_file(source) if isinstance(source, Path) else ""
        if not digest:
            frame = collect(scan(source))
            digest = digest_frame(frame)
    except (EvermodelError, OSError) as error:
        return _refused(turn, Delivery(name, what, f"unread {error}"[:200], turn.now), error)
    if any(d.digest == digest and d.what == what for d in turn.memory.deliveries):
        return turn
    delivery = Delivery(name, what, digest, turn.now)
    try:
        frame = collect(scan(source)) if frame is None else frame
        if what == "rows":
            labelled = contract.roles.target in frame.columns
            difference(contract, frame.lazy(), labelled=labelled).raise_refused()
        taken = dataclasses.replace(turn, delivered=(*turn.delivered, (source, what)))
        if what != "predictions":
            return _kept(taken, contract, frame, delivery)
    except (EvermodelError, OSError) as error:
        return _refused(turn, delivery, error)
    return taken.remembering(deliveries=(*turn.memory.deliveries, dataclasses.replace(delivery, rows=frame.height)))


def _refused(turn: Turn, delivery: Delivery, error: Exception) -> Turn:
    """Told once for each state of a source; nothing of it is used."""
    if isinstance(error, NoData) and "no rows" in str(error):
        return turn
    why = error.message if isinstance(error, EvermodelError) else str(error)
    if any(d.digest == delivery.digest and d.refused for d in turn.memory.deliveries):
        return turn
    delivery = dataclasses.replace(delivery, refused=why)
    turn = turn.remembering(deliveries=(*turn.memory.deliveries, delivery))
    turn = turn.happened("delivery refused", source=delivery.source, reasons=[why])
    return turn.saying(f"refused {delivery.source}: {why}")


def _kept(turn: Turn, contract: Contract, frame: pl.DataFrame, delivery: Delivery) -> Turn:
    if delivery.what == "labels":
        _label_columns(frame, contract, turn.policy.id)
        rows = put_rows(turn.store, frame, turn.now)
        turn = turn.remembering(strangers=(*turn.memory.strangers, rows))
        fresh, repeated = frame, 0
    else:
        fresh, turn = _once(turn, contract, frame)
        repeated = frame.height - fresh.height
        target = contract.roles.target
        known = fresh[target].is_not_null() if target in fresh.columns else pl.repeat(False, fresh.height, eager=True)
        turn = _ready(turn, fresh.filter(known))
        if (~known).any():
            waiting = put_rows(turn.store, fresh.filter(~known), turn.now)
            turn = turn.remembering(waiting=(*turn.memory.waiting, waiting))
    delivery = dataclasses.replace(delivery, rows=fresh.height, repeated=repeated)
    turn = turn.remembering(deliveries=(*turn.memory.deliveries, delivery))
    again = f", {repeated:,} had come before" if repeated else ""
    return turn.saying(f"took {fresh.height:,} {delivery.what} from {delivery.source}{again}")


def _ready(turn: Turn, labelled: pl.DataFrame, *, late: bool = False) -> Turn:
    if not labelled.height:
        return turn
    rows = put_rows(turn.store, labelled, turn.now, late=late)
    return dataclasses.replace(turn.remembering(ready=(*turn.memory.ready, rows)), fresh=(*turn.fresh, labelled))


def _once(turn: Turn, contract: Contract, frame: pl.DataFrame) -> tuple[pl.DataFrame, Turn]:
    """The rows that did not come before, where rows can be told apart: by an id, else as a whole with their time."""
    keys = id_columns(frame.columns, contract, turn.policy.id or None)
    if not keys and contract.roles.time is None:
        return frame, turn
    columns = list(keys) or [c for c in frame.columns if c != contract.roles.target]
    hashes = _hashes(frame, columns)
    known = _known(turn)
    _, first = np.unique(hashes, return_index=True)
    fresh = np.zeros(len(hashes), dtype=bool)
    fresh[first] = True
    fresh &= ~np.isin(hashes, known)
    staged = turn.store.stage() / "known.parquet"
    every = np.concatenate([known, hashes[fresh]])[-MOST_KNOWN:]
    pl.DataFrame({KEY: every}).write_parquet(staged)
    return frame.filter(pl.Series(fresh)), turn.remembering(known=turn.store.keep(staged))


def _hashes(frame: pl.DataFrame, columns: list[str]) -> Array:
    text = [canonical_text(pl.col(c), frame.schema[c]).fill_null("") for c in columns]
    return frame.select(pl.concat_str(text, separator="|").hash(seed=0)).to_series().to_numpy()


def _known(turn: Turn) -> Array:
    if not turn.memory.known:
        return np.empty(0, dtype=np.uint64)
    return pl.read_parquet(turn.store.blob(turn.memory.known))[KEY].to_numpy()


def _label_columns(frame: pl.DataFrame, contract: Contract, id_: str) -> tuple[str, ...]:
    keys = id_columns(frame.columns, contract, id_ or None)
    if not keys:
        raise BadData("The labels cannot be joined: no column says which row is which.", "Name it: --set id=COLUMN.")
    if contract.roles.target not in frame.columns:
        raise NotFound.among("column", str(contract.roles.target), frame.columns)
    return keys


def _joined(turn: Turn, contract: Contract) -> Turn:
    """Labels put to the rows that waited; both that find nothing go on waiting."""
    memory, target = turn.memory, str(contract.roles.target)
    if not memory.waiting or not memory.strangers:
        return turn
    labels, rows = get_rows(turn.store, memory.strangers), get_rows(turn.store, memory.waiting)
    keys = list(_label_columns(labels, contract, turn.policy.id))
    missing = [k for k in keys if k not in rows.columns]
    if missing:
        return turn.saying(f"the rows have no column {missing[0]!r}: labels cannot be joined to them")
    wanted, offered = _hashes(rows, keys), _hashes(labels, keys)
    rows = rows.with_columns(pl.Series(KEY, wanted)).drop(target, strict=False)
    labels = labels.with_columns(pl.Series(KEY, offered)).drop_nulls(target).unique(KEY, keep="last")
    both = rows.join(labels.select(KEY, target), on=KEY, how="inner", maintain_order="left").drop(KEY)
    left = rows.join(labels, on=KEY, how="anti", maintain_order="left").drop(KEY)
    unused = labels.join(rows, on=KEY, how="anti").drop(KEY)
    since = min(r.at for r in memory.waiting)
    waiting = (put_rows(turn.store, left, since),) if left.height else ()
    strangers = (put_rows(turn.store, unused, turn.now),) if unused.height else ()
    turn = turn.remembering(waiting=waiting, strangers=strangers)
    if both.height:
        turn = _ready(turn, both, late=True).saying(f"{both.height:,} labels found their rows; {left.height:,} wait")
    return turn


def _expired(turn: Turn) -> Turn:
    """Rows whose labels have not come in ``label_delay`` are let go, and that is said."""
    oldest = turn.now - turn.policy.seconds("label_delay")
    gone: tuple[Rows, ...] = tuple(r for r in turn.memory.waiting if r.at < oldest)
    if not gone:
        return turn
    turn = turn.remembering(waiting=tuple(r for r in turn.memory.waiting if r.at >= oldest))
    return turn.saying(f"{sum(r.rows for r in gone):,} rows got no label within {turn.policy.label_delay}")
