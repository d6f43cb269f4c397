"""Real streams: drift is not taken for a change of unit, a change of unit is seen."""

from __future__ import annotations

import os
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.contracts.inference import learn_contract
from evermodel.core.data.contract import Contract
from evermodel.core.data.scan import collect, scan
from evermodel.core.records.column_roles import Roles

DATA = Path(os.environ.get("EVERMODEL_DATA", Path(__file__).parents[3] / "shared" / "data"))
STREAMS = {
    "electricity": (Roles("price_up", time="timestamp"), "timestamp", "binary"),
    "bank_marketing": (Roles("subscribed", time="row_order"), "row_order", "binary"),
    "bike_sharing_hourly": (
        Roles("rentals", time="timestamp", drop=("rentals_casual", "rentals_registered")),
        "timestamp",
        "regression",
    ),
    "gas_sensor_drift": (Roles("gas", time="batch"), "batch", "multiclass"),
    "heart_disease_4_sites": (Roles("disease", drop=("severity",)), None, "binary"),
    "clinc150_intents": (Roles("intent", time="domain_order"), "domain_order", "multiclass"),
    "traffic_signs_gtsrb": (Roles("sign_class", entity="track", drop=("png", "frame")), "condition", "multiclass"),
    "movielens_small": (Roles("rating", time="rated_at", entity="user_id"), "rated_at", "regression"),
}
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real streams are not here (EVERMODEL_DATA)")


@needs_data
@pytest.mark.parametrize("name", STREAMS)
def test_drift_is_no_change_of_unit(name: str) -> None:
    roles, order, task = STREAMS[name]
    rows = collect(scan(DATA / name / f"{name}.parquet"))
    contract = learn_contract(rows.lazy(), roles)
    assert contract.task == task
    assert Contract.from_json(contract.to_json()) == contract
    if order is None:  # four hospitals
        blocks = rows.partition_by("site", maintain_order=True)
    else:
        rows = rows.sort(order, maintain_order=True)
        cuts = np.linspace(0, rows.height, 9).astype(int)
        blocks = [rows[a:b] for a, b in pairwise(cuts)]
    contracts = [learn_contract(b.lazy(), roles) for b in blocks]
    for i, j in permutations(range(len(blocks)), 2):
        found = compare_with_contract(contracts[i], blocks[j].lazy(), labelled=False)
        assert [d.text for d in found.list_refused() if d.kind == "unit"] == []


@pytest.mark.parametrize(
    ("column", "factor", "shift"),
    [
        ("height", 2.54, 0),
        ("height", 0.01, 0),
        ("age", 12, 0),
        ("price", 1000, 0),
        ("price", 0.001, 0),
        ("z", 1000, 0),
        ("temperature", 1.8, 32),
        ("temperature", 1, 273.15),
    ],
)
def test_a_change_of_unit_is_refused(column: str, factor: float, shift: float) -> None:
    rng = np.random.default_rng(1)

    def made(n: int) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "height": rng.normal(170, 10, n),
                "age": rng.gamma(9, 5, n),
                "price": rng.lognormal(3, 1, n),
                "z": rng.normal(size=n),
                "temperature": rng.normal(15, 8, n),
                "y": rng.integers(0, 2, n),
            }
        )

    contract = learn_contract(made(2000).lazy(), Roles("y"))
    new = made(2000)
    assert compare_with_contract(contract, new.lazy()).list_refused() == ()
    found = compare_with_contract(contract, new.with_columns(pl.col(column) * factor + shift).lazy())
    assert [(d.kind, d.column) for d in found.list_refused()] == [("unit", column)]
    assert found.list_refused(accept={f"unit:{column}"}) == ()


def test_names_and_spellings_migrate_exactly() -> None:
    rows = pl.DataFrame({"age": [1.0, 2, 3, 4], "job": ["Cook", "Smith", "Cook", "Smith"], "y": ["n", "p", "n", "p"]})
    contract = learn_contract(rows.lazy(), Roles("y"))
    new = pl.DataFrame(
        {"job": ["cook", "Smith", "baker", "cook"], "Age ": ["1", " 2", "3", "4"], "y": ["n", "p", "q", "n"], "z": 1}
    )
    found = compare_with_contract(contract, new.lazy())
    assert [(d.kind, d.column, d.action) for d in found.found] == [
        ("renamed", "age", "migrate"),
        ("new", "z", "note"),
        ("reordered", "", "migrate"),
        ("type", "age", "migrate"),
        ("spelling", "job", "migrate"),
        ("categories", "job", "migrate"),
        ("classes", "y", "migrate"),
    ]
    assert found.contract.column("job").categories == ("Cook", "Smith", "baker")
    assert found.contract.classes == ("n", "p", "q")
    assert found.contract.task == "multiclass"
    migrated = collect(found.migrate(new.lazy()))
    assert migrated["job"].to_list() == ["Cook", "Smith", "baker", "Cook"]
    assert "age" in migrated.columns
