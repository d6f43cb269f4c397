"""The shortest way: a model file and new rows. The model is adopted first; its oldest new rows may stand in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core import plugs
from evermodel.core.errors import AskedWrongly, NoData
from evermodel.core.files import digest_file
from evermodel.core.reading import collect, scan
from evermodel.core.store import Store
from evermodel.loop.adopt import adopt, take
from evermodel.loop.asked import Asked
from evermodel.loop.home import checked_name, open_home
from evermodel.loop.opening import framework_of
from evermodel.loop.use import check_format
from evermodel.loop.waiting import waits

STAND_IN_SHARE = 0.4  # of the first update's rows, the oldest, where nobody kept the training rows
LEAST_ROWS = 50


def is_model(name: Any) -> bool:
    """Whether ``name`` is a model (a file or a live object) and not the name of one."""
    return not isinstance(name, str) or (Path(name).suffix != "" and Path(name).is_file())


def adopted_first(
    name: Any, data: Any, to: Path | None, reference: Any, called: str | None, options: Mapping[str, Any],
    home: Any, scratch: Path | None,
) -> tuple[Store, str, Any]:  # fmt: skip
    """The store, the model's name and the rows to update with; what is not adopted yet is adopted now.

    ``scratch``: a folder to adopt into instead of ``home``, for a dry run. Raises before anything is adopted where the
    model could not be written to ``to``.
    """
    store = open_home(home)
    if is_model(name):
        return _from_file(store, name, data, to, reference, called, options, scratch or store.home)
    if waits(store, checked_name(name)):
        card = store.card(name, store.at(name, "waiting") or "")
        check_format(to, plugs.module("frameworks", card.framework))
        return _completed(store, name, data, open_home(scratch) if scratch else store)
    return store, name, data


def _from_file(
    store: Store, model: Any, data: Any, to: Path | None, reference: Any, called: str | None,
    options: Mapping[str, Any], into: Path,
) -> tuple[Store, str, Any]:  # fmt: skip
    if options.get("target") is None:
        raise AskedWrongly("A model file needs --target: which column is the label?")
    file = Path(model) if isinstance(model, (str, Path)) else None
    name = checked_name(called or (file.stem if file else type(model).__name__.lower()))
    if store.at(name, "champion") is not None:
        if file and store.cards(name)[0].facts.get("source_digest") == digest_file(file):
            return store, name, data
        raise AskedWrongly(
            f"There is a model {name!r} already, and it was not adopted from this file.",
            f"'evermodel update {name} DATA' updates it; --name keeps this one under another name.",
        )
    check_format(to, framework_of(model))
    if reference is None:
        reference, data = standing_in(data, options.get("time"))
        options = {**options, "stands_in": True}
    adopt(model, data=reference, name=name, home=into, **options)
    return open_home(into), name, data


def _completed(store: Store, name: str, data: Any, into: Store) -> tuple[Store, str, Any]:
    """A waiting model is adopted with the oldest of ``data``; the version kept without rows stays as it was."""
    began = time.monotonic()
    card = store.card(name, store.at(name, "waiting") or "")
    at = store.get(name, card.version)
    asked = Asked.from_facts({**card.facts["asked"], "stands_in": True}, next(at.glob("given*"), None))
    oldest, newer = standing_in(data, asked.roles.time)
    framework = plugs.module("frameworks", card.framework)
    take(into, name, framework.load(at / "model"), framework, oldest, asked, began)
    return into, name, newer


def standing_in(data: Any, order: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The oldest rows, which stand in for the training rows that nobody kept, and the others. Raises NoData."""
    frame = collect(scan(data))
    if order in frame.columns:
        frame = frame.sort(order, maintain_order=True)
    oldest = round(STAND_IN_SHARE * frame.height)
    if oldest < LEAST_ROWS:
        raise NoData(
            f"Without --data the oldest rows stand in for the training rows; {frame.height} rows are too few for that.",
            "Give rows like those the model was trained on with --data.",
        )
    return frame[:oldest], frame[oldest:]
