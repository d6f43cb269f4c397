"""The rows on which two versions are compared: those given, or those that were kept to judge."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from evermodel.core.data.table import Table
from evermodel.core.errors import NoData
from evermodel.core.model.model import Model
from evermodel.core.store import Store
from evermodel.registry.prediction import clean_rows
from evermodel.registry.row_memory import RowMemory, read_memory
from evermodel.updating.splitting import drop_known_rows

FEWEST = 60  # rows; fewer explain nothing
ENOUGH = 200  # rows kept to judge from which they are used without a caveat


@dataclass(frozen=True)
class ExplainedRows:
    """The labelled rows to compare on, and what must be said of them.

    ``newest`` and ``before``: the rows between which the data may have changed; ``before`` is None where no earlier
    rows are remembered.
    """

    rows: Table
    newest: Table
    before: Table | None
    source: str
    notes: tuple[str, ...]


def read_explained_rows(store: Store, name: str, model: Model, data: Any) -> ExplainedRows:
    """Labelled rows of ``data``; without it those kept out of all training, else the newest remembered ones.

    Raises NoData where there are fewer than 60, ContractBroken where the rows do not fit.
    """
    memory = read_memory(store, name)
    if data is not None:
        return _read_given(store, memory, model, data)
    past = memory.past(store, model.contract)
    if past is not None and len(past) >= ENOUGH:
        return _split_by_block(past, "the rows that were kept out of all training")
    known = memory.rows(store, model.contract)
    if known is None or len(known) < FEWEST:
        raise NoData(
            f"No labelled rows of {name} are remembered.", f"Give labelled rows: evermodel explain {name} ROWS"
        )
    note = (
        "These rows were remembered, and both versions may have been trained on some of them: that flatters the "
        "version that was trained on more of them. Give rows that came later for a fair count."
    )
    return dataclasses.replace(_split_by_block(known, "the newest rows that are remembered"), notes=(note,))


def _read_given(store: Store, memory: RowMemory, model: Model, data: Any) -> ExplainedRows:
    table = clean_rows(model, data, ("categories",), labelled=True).collect()
    known = memory.rows(store, model.contract)
    _, n_known = drop_known_rows(table, known)
    notes: tuple[str, ...] = ()
    if n_known:
        notes = (f"{n_known:,} of these rows were given before, and a version may have been trained on them.",)
    if len(table) < FEWEST:
        raise NoData(f"{len(table)} labelled rows explain nothing. Got fewer than {FEWEST}.", "Give more rows.")
    before = memory.past(store, model.contract)
    if before is None or len(before) < FEWEST:
        before = known
    return ExplainedRows(table, table, before, "the rows given", notes)


def _split_by_block(table: Table, source: str) -> ExplainedRows:
    """The newest delivery beside those before it."""
    blocks = np.zeros(len(table)) if table.blocks is None else np.asarray(table.blocks)
    newest = blocks == blocks.max()
    if newest.all() or newest.sum() < FEWEST or (~newest).sum() < FEWEST:
        return ExplainedRows(table, table, None, source, ())
    return ExplainedRows(table, table.rows(newest), table.rows(~newest), source, ())
