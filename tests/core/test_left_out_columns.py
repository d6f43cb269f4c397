"""Columns that were left out at adoption are not called new when they come again."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl

from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.contracts.inference import learn_contract
from evermodel.core.data.contract import Contract
from evermodel.core.records.column_roles import Roles

ROWS = 300
FRAME = pl.DataFrame(
    {
        "age": np.arange(ROWS) % 50 + 0.5,
        "when": [dt.datetime(2026, 1, 1) + dt.timedelta(hours=i) for i in range(ROWS)],
        "nothing": [None] * ROWS,
        "name: left out": [f"customer {i}" for i in range(ROWS)],
        "bytes": [b"no picture"] * ROWS,
        "y": np.arange(ROWS) % 2,
    }
)
LEFT_OUT = ("when", "nothing", "name: left out", "bytes")


def find_new(contract: Contract, frame: pl.DataFrame) -> list[str]:
    found = compare_with_contract(contract, frame.lazy(), labelled=True)
    return [difference.column for difference in found.found if difference.kind == "new"]


def test_what_was_left_out_is_not_new_and_what_is_new_is_said() -> None:
    contract = learn_contract(FRAME.lazy(), Roles(target="y"))
    assert contract.names == ["age"] and contract.left_out == LEFT_OUT
    assert find_new(contract, FRAME) == []
    assert find_new(contract, FRAME.with_columns(colour=pl.lit("red"))) == ["colour"]


def test_contracts_stored_before_the_field_was_there_are_read() -> None:
    contract = learn_contract(FRAME.lazy(), Roles(target="y"))
    assert Contract.from_json(contract.to_json()) == contract
    stored = json.loads(contract.to_json())
    del stored["left_out"]
    assert sorted(Contract.from_json(json.dumps(stored)).left_out) == sorted(LEFT_OUT)
