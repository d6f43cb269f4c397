"""The shortest way: a model file and new rows. The model is adopted first; its oldest new rows may stand in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core.errors import AskedWrongly, NoData
from evermodel.core.files import digest_file
from evermodel.core.reading import collect, scan
from evermodel.loop.adopt import adopt
from evermodel.loop.home import checked_name, open_home

STAND_IN_SHARE = 0.4  # of the first update's rows, the oldest, where nobody kept the training rows
LEAST_ROWS = 50


def is_model(name: Any) -> bool:
    """Whether ``name`` is a model (a file or a live object) and not the name of one."""
    return not isinstance(name, str) or (Path(name).suffix != "" and Path(name).is_file())


def take_in(
    model: Any, data: Any, reference: Any, called: str | None, options: Mapping[str, Any], home: Any
) -> tuple[str, Any]:
    """Adopts the model unless this very file was adopted before; returns its name and the rows to update with."""
    if options.get("target") is None:
        raise AskedWrongly("A model file needs --target: which column is the label?")
    name = checked_name(
        called or (Path(model).stem if isinstance(model, (str, Path)) else type(model).__name__.lower())
    )
    store = open_home(home)
    version = store.at(name, "champion")
    if version is not None:
        if isinstance(model, (str, Path)) and store.cards(name)[0].facts.get("source_digest") == digest_file(
            Path(model)
        ):
            return name, data
        raise AskedWrongly(
            f"There is a model {name!r} already, and it was not adopted from this file.",
            f"'evermodel update {name} DATA' updates it; --name keeps this one under another name.",
        )
    if reference is not None:
        adopt(model, data=reference, name=name, home=home, **options)
        return name, data
    frame = collect(scan(data))
    order = options.get("time")
    if order in frame.columns:
        frame = frame.sort(order, maintain_order=True)
    oldest = round(STAND_IN_SHARE * frame.height)
    if oldest < LEAST_ROWS:
        raise NoData(
            f"Without --data the oldest rows stand in for the training rows; {frame.height} rows are too few for that.",
            "Give rows like those the model was trained on with --data.",
        )
    adopt(model, data=frame[:oldest], name=name, home=home, stands_in=True, **options)
    return name, frame[oldest:]
