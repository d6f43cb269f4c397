"""Tells a change of unit from drift: the whole distribution moved by one factor that nature does not use."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Column

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST_ROWS = 30  # fewer say nothing about a distribution
FAR = 5.0  # smallest distance without a change of unit, in spreads; real streams drift by 3 and more
PLAINLY = 1.0  # largest distance that is left under a well-known large factor: some drift besides is allowed
BEYOND = 100.0  # of what drift alone would have to explain, this part may be left: summer and another unit at once
EXACTLY = 0.1  # the same for factors that drift reaches, too; and what chance adds with few rows: NOISE / sqrt(rows)
NOISE = 3.0
LARGE = 90.0  # a factor that drift hardly reaches
_FACTORS = {
    "a thousand": 1e3,
    "a hundred": 1e2,
    "ten": 10.0,
    "a million": 1e6,
    "a billion": 1e9,
    "centimetres an inch": 2.54,
    "feet a metre": 3.28084,
    "pounds a kilogram": 2.20462,
    "kilometres a mile": 1.609344,
    "litres a gallon": 3.78541,
    "grams an ounce": 28.3495,
    "kilometres an hour a metre a second": 3.6,
    "minutes an hour": 60.0,
    "seconds an hour": 3600.0,
    "months a year": 12.0,
    "hours a day": 24.0,
    "days a year": 365.25,
    "seconds a day": 86400.0,
    "bytes a kibibyte": 1024.0,
    "joules a calorie": 4.184,
}


@dataclass(frozen=True)
class Unit:
    """new = factor * old + shift."""

    name: str
    factor: float
    shift: float = 0.0
    plain: bool = False  # no drift reaches such a factor


KNOWN = (
    *(Unit(f"x{f:g} ({n})", f) for n, f in _FACTORS.items()),
    *(Unit(f"1/{f:g} ({n})", 1 / f) for n, f in _FACTORS.items()),
    Unit("°C to °F", 1.8, 32.0),
    Unit("°F to °C", 1 / 1.8, -32 / 1.8),
    Unit("°C to K", 1.0, 273.15),
    Unit("K to °C", 1.0, -273.15),
)

_POWERS = tuple(
    u for u in KNOWN if not u.shift and float(np.log10(u.factor)).is_integer() and abs(np.log10(u.factor)) > 1
)


def compute_quantiles(values: pl.Series) -> Array | None:
    """(5,) quantiles of the finite values; None where they are too few."""
    finite = values.filter(values.is_finite()).rechunk()  # of several chunks polars copies the whole for each quantile
    if len(finite) < LEAST_ROWS:
        return None
    return np.array([finite.quantile(s, "linear") for s in SHARES], dtype=np.float64)


def shape_distance(old: Array, new: Array) -> float:
    """Largest distance of a quantile (5,) from the old one, in old spreads (5 to 95 %, as standard deviations)."""
    spread = (old[4] - old[0]) / 3.29
    return float(np.abs(new - old).max() / spread) if spread > 0 else float("inf")


def measure_distance(old: Array, new: Array) -> float:
    """The larger distance of the two, each in the other's spreads."""
    return max(shape_distance(old, new), shape_distance(new, old))


def find_unit_change(column: Column, values: pl.Series) -> Unit | None:
    """The change of unit that explains ``values`` where no drift would; None where there is none, or too few rows.

    Both must hold: under one factor all quantiles are where they were, and without it at least one is far away.
    A column that hardly varies, or whose middle quantiles coincide (counts, flags), cannot tell and is left alone.
    """
    new = compute_quantiles(values)
    if new is None or not column.quantiles:
        return None
    old = np.asarray(column.quantiles)
    if len(np.unique(old)) < 4 or len(np.unique(new)) < 4:
        return None
    far = measure_distance(old, new)
    if far < FAR:
        return None
    exact = EXACTLY + NOISE / len(values) ** 0.5
    fits = []
    for unit in (*KNOWN, *_general(old, new)):
        plain = unit in KNOWN and not 1 / LARGE < unit.factor < LARGE
        left = shape_distance(old * unit.factor + unit.shift, new)
        if left < (min(PLAINLY, far / FAR) if plain else exact):
            fits.append((left, dataclasses.replace(unit, plain=plain)))
    if not fits:  # a season's drift besides: many factors would do then, and the usual ones are powers of ten
        both = [(measure_distance(old * u.factor, new), u) for u in _POWERS]
        fits = [(left, dataclasses.replace(u, plain=True)) for left, u in both if left < min(FAR, far / BEYOND)]
    return min(fits, key=lambda fit: fit[0])[1] if fits else None


def _general(old: Array, new: Array) -> list[Unit]:
    """Any other large factor: the spreads' ratio."""
    factor = float((new[4] - new[0]) / (old[4] - old[0]))
    return [Unit(f"x{factor:.4g}", factor)] if not 1 / 8 < factor < 8 else []
