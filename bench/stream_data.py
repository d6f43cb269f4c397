"""Real streams in blocks, oldest first: what each model was deployed on, then what came. Used by bench/streams.py."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DATA = Path(os.environ.get("EVERMODEL_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Stream:
    """Blocks of rows: the first was deployed on, each later one is an update. ``adopting``: options of adopt."""

    name: str
    blocks: tuple[pl.DataFrame, ...]
    target: str
    metric: str
    task: str
    adopting: Mapping[str, Any] = field(default_factory=dict)
    series: bool = False  # "last value seen" means something


def read(name: str) -> pl.DataFrame:
    return pl.read_parquet(DATA / name / f"{name}.parquet")


def equal_blocks(frame: pl.DataFrame, first: float = 0.2, n: int = 8) -> tuple[pl.DataFrame, ...]:
    """The oldest share, then ``n`` equal blocks."""
    start = round(first * frame.height)
    ends = np.linspace(start, frame.height, n + 1).round().astype(int)
    return (frame[:start], *(frame[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)))


def electricity() -> Stream:
    blocks = equal_blocks(read("electricity"))
    return Stream("electricity", blocks, "price_up", "accuracy", "binary", {"time": "timestamp"}, series=True)


def bank_marketing() -> Stream:
    frame = read("bank_marketing").drop("call_duration_s", "row_order", "year")
    return Stream("bank_marketing", equal_blocks(frame), "subscribed", "auc", "binary")


def bike_sharing() -> Stream:
    frame = read("bike_sharing_hourly").drop("rentals_casual", "rentals_registered", "year_index")
    named = ("hour", "weekday", "weather_situation")  # categories by their meaning
    frame = frame.with_columns(pl.format(c[0] + "{}", pl.col(c)).alias(c) for c in named)
    adopting = {"time": "timestamp", "task": "regression"}
    return Stream("bike_sharing", equal_blocks(frame), "rentals", "r2", "regression", adopting, series=True)


def gas_sensor() -> Stream:
    frame = read("gas_sensor_drift").drop("months", "concentration_ppmv")
    parts = frame.partition_by("batch", as_dict=True, maintain_order=True)
    batches = [parts[(b,)].drop("batch") for b in sorted(k[0] for k in parts)]
    # within a batch the file is sorted by gas, so that the order of rows means nothing
    return Stream(
        "gas_sensor", (pl.concat(batches[:2]), *batches[2:]), "gas", "accuracy", "multiclass", {"shuffled": True}
    )


def heart_disease() -> Stream:
    frame = read("heart_disease_4_sites").drop("severity")
    sites = ("cleveland", "hungarian", "switzerland", "va")
    blocks = tuple(frame.filter(pl.col("site") == s).drop("site") for s in sites)
    return Stream("heart_disease", blocks, "disease", "auc", "binary", {"shuffled": True})


def traffic_signs() -> Stream:
    frame = read("traffic_signs_gtsrb").filter("in_core").sort("track_brightness", descending=True, maintain_order=True)
    halves = []
    for condition in ("2_dim", "3_dark"):
        part = frame.filter(pl.col("condition") == condition)
        tracks = part["track"].unique(maintain_order=True)
        first = tracks[: len(tracks) // 2].implode()
        halves += [part.filter(pl.col("track").is_in(first)), part.filter(~pl.col("track").is_in(first))]
    blocks = tuple(
        b.select("png", "track", pl.format("sign {}", "sign_class").alias("sign_class"))
        for b in (frame.filter(pl.col("condition") == "1_bright"), *halves)
    )
    adopting = {"entity": "track", "shuffled": True}
    return Stream("traffic_signs", blocks, "sign_class", "accuracy", "multiclass", adopting)


STREAMS = {
    "electricity": electricity,
    "bank_marketing": bank_marketing,
    "bike_sharing": bike_sharing,
    "gas_sensor": gas_sensor,
    "heart_disease": heart_disease,
    "traffic_signs": traffic_signs,
}
