"""The three shipped streams of real data: what each model was deployed on, then the blocks that came later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Stream:
    """Labelled rows in the order of time, and the model that was deployed on the first block.

    ``time`` names the time column, if there is one; ``shuffled`` says that the order of rows within a block means
    nothing.
    """

    name: str
    title: str
    source: str
    model_file: str
    target: str
    metric: str
    blocks: tuple[pl.DataFrame, ...]
    labels: tuple[str, ...]  # one a block, for people
    time: str | None = None
    shuffled: bool = False

    @property
    def shipped_model(self) -> Path:
        """The deployed model's file, as it is shipped."""
        return DATA / f"{self.name}_{self.model_file}"


def gas() -> Stream:
    """Six gases told apart by 16 sensors that age: 36 months in eight batches; a Keras network."""
    rows = pl.read_parquet(DATA / "gas_sensors.parquet")
    batches = [rows.filter(pl.col("batch") == b).drop("batch") for b in (1, 2, 3, 4, 5, 6, 8, 9)]
    return Stream(
        "gas",
        "Gas sensors that age (Keras network, which of six gases)",
        "Vergara et al., Gas Sensor Array Drift, UCI 270, CC BY 4.0",
        "existing_model.h5",
        "gas",
        "accuracy",
        (pl.concat(batches[:2]), *batches[2:]),
        ("months 1-10", "months 11-13", "months 14-15", "month 16", "months 17-20", "months 22-23", "months 24-30"),
        shuffled=True,  # a batch is sorted by gas, so that the order of its rows means nothing
    )


def bank() -> Stream:
    """Who subscribes to a deposit after a call: 2008, then the financial crisis; a Keras network."""
    rows = pl.read_parquet(DATA / "bank_marketing.parquet")
    third = ((rows["month"] - 1) // 4).alias("third")
    parts = rows.with_columns(third).partition_by("year", "third", as_dict=True, maintain_order=True)
    months = ("January to April", "May to August", "September to December")
    deployed = pl.concat([block for (year, _), block in parts.items() if year == 2008])
    later = {key: block for key, block in parts.items() if key[0] != 2008}
    return Stream(
        "bank",
        "Bank marketing through the financial crisis (Keras network, subscribed or not)",
        "Moro, Rita and Cortez, Bank Marketing, UCI 222, CC BY 4.0",
        "existing_model.h5",
        "subscribed",
        "auc",
        tuple(block.drop("year", "third") for block in (deployed, *later.values())),
        ("2008", *(f"{months[part]} {year}" for year, part in later)),
    )


def bike() -> Stream:
    """How many bicycles are rented an hour while the service grows; a LightGBM model."""
    rows = pl.read_parquet(DATA / "bike_sharing.parquet")
    quarter = ((rows["timestamp"].dt.year() - 2011) * 4 + rows["timestamp"].dt.quarter() - 1).alias("quarter")
    deployed = rows.filter(quarter < 2)
    later = [rows.filter(quarter == number) for number in range(2, 8)]
    return Stream(
        "bike",
        "Bicycle rentals of a growing service (LightGBM, rentals an hour)",
        "Fanaee-T, Bike Sharing, UCI 275, CC BY 4.0",
        "existing_model.txt",
        "rentals",
        "r2",
        (deployed, *later),
        ("January to June 2011", *(f"quarter {n % 4 + 1} of {2011 + n // 4}" for n in range(2, 8))),
        time="timestamp",
    )


STREAMS: Mapping[str, Callable[[], Stream]] = {"gas": gas, "bank": bank, "bike": bike}
