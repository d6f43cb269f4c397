"""Labelled rows that a person gives to judge by, without those that any update has learnt from."""

from __future__ import annotations

import dataclasses
from typing import Any

from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.data.cleaning import clean
from evermodel.core.data.contract import Contract
from evermodel.core.data.scan import scan
from evermodel.core.data.table import Table
from evermodel.core.errors import NoData
from evermodel.updating.splitting import drop_known_rows


def read_unlearnt_rows(data: Any, contract: Contract, learnt: Table | None) -> Table:
    """The cleaned rows of ``data`` without those among ``learnt``. Raises BadData, ContractBroken, NoData."""
    frame = scan(data, contract.row_format)
    found = compare_with_contract(contract, frame, new_classes="refuse")
    found.refuse()
    table = clean(found.migrate(frame), contract, labelled=True).collect()
    fresh, known = drop_known_rows(table, learnt)
    if not len(fresh):
        raise NoData(f"All {known} rows were trained on.", "A model can only be judged on rows nobody trained on.")
    return dataclasses.replace(fresh, blocks=None)
