"""What goes wrong in a year: faults drawn with a seed, done to the files that are delivered or to the process."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import polars as pl

KINDS = ("corrupt", "killed", "full disk", "poisoned", "unit", "labels stop", "schema")
STOPPED = 4  # weeks for which no labels come
WRONG = 0.4  # share of a poisoned week's labels that are those of other rows


@dataclass(frozen=True)
class Fault:
    """``week``: of the rows. ``mended``: a week later the producer delivers the file as it should have been."""

    week: int
    kind: str

    @property
    def mended(self) -> bool:
        return self.kind in ("corrupt", "unit", "schema")


def drawn(weeks: int, seed: int) -> list[Fault]:
    """Each kind once or twice, in weeks of their own, none in the first three."""
    chance = random.Random(seed)
    kinds = [*KINDS, *chance.sample(KINDS, 3)]
    free = chance.sample(range(3, weeks - STOPPED - 2), len(kinds))
    return [Fault(week, kind) for week, kind in zip(free, kinds, strict=True)]


def broken(fault: Fault, rows: pl.DataFrame, target: str) -> pl.DataFrame | bytes:
    """The rows as they are delivered (without the target): of another unit, renamed, or no file at all."""
    if fault.kind == "corrupt":
        return b"PAR1 this file was cut off while it was written"
    numbers = [c for c in rows.columns if rows[c].dtype.is_numeric() and c != target and rows[c].n_unique() > 20]
    column = next(c for c in numbers if c != "row_id")
    if fault.kind == "unit":
        return rows.with_columns(pl.col(column).cast(pl.Float64) * 1000.0)
    return rows.rename({column: column + "_measured_differently_now"}) if fault.kind == "schema" else rows


def poisoned(labels: pl.DataFrame, target: str, seed: int) -> pl.DataFrame:
    """Labels of which a share belongs to other rows; the other label where there are two."""
    hit = pl.Series(np.random.default_rng(seed).random(labels.height) < WRONG)
    y, known = labels[target], labels[target].unique().sort()
    other = y.sample(len(y), shuffle=True, seed=seed)
    if len(known) == 2:
        other = known.reverse().gather((y == known[1]).cast(pl.UInt32))
    return labels.with_columns(pl.when(hit).then(other).otherwise(y).alias(target))
