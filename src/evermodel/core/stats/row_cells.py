"""All columns at once: each row belongs to the cell of the nearest of a few reference rows; cells are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array

JOINT = "all columns"
CENTRES = 10
FEWEST = 2  # columns
TOP = 6  # categories of a column that have a direction of their own
FAR = 4.0  # deviations beyond which a number pulls no harder
LIGHTEST = 0.1  # weight of a column that the model does not depend on


@dataclass(frozen=True)
class Cells:
    """How a row becomes a point: ``columns`` are (name, mean, std) of numbers and (name, categories) of the others.

    Rows of which columns move together otherwise than before fall into other cells, though no column moved by itself.
    The centres are left out of the count, so that all other rows are exchangeable with new ones.
    """

    numbers: tuple[tuple[str, float, float, float], ...]  # name, mean, std, weight
    categories: tuple[tuple[str, tuple[str, ...], float], ...]  # name, categories, weight
    centres: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, frame: pl.DataFrame, names: Sequence[str], matters: Mapping[str, float]) -> tuple[Cells, Array] | None:
        """The cells of cleaned reference rows, and which rows (n,) are no centres; None for fewer than two columns."""
        numbers, categories = [], []
        for name in [n for n in names if n in frame.columns and frame[n].dtype != pl.Binary]:
            weight = max(LIGHTEST, float(matters.get(name, 1.0))) ** 0.5
            if frame[name].dtype.is_numeric():
                x = frame[name].drop_nulls().to_numpy()
                x = x[np.isfinite(x)]
                if len(x) and x.std() > 0:
                    numbers.append((name, float(x.mean()), float(x.std()), weight))
            else:
                counts = (
                    frame[name]
                    .drop_nulls()
                    .value_counts(sort=True)
                    .rename({name: "c"})
                    .sort("count", "c", descending=[True, False])
                )
                categories.append((name, tuple(counts["c"].cast(pl.String).head(TOP)), weight))
        if len(numbers) + len(categories) < FEWEST or frame.height < 10 * CENTRES:
            return None
        bare = cls(tuple(numbers), tuple(categories), ())
        at = np.sort(np.random.default_rng(0).choice(frame.height, CENTRES, replace=False))
        centres = np.unique(bare.points(frame[at]), axis=0)
        if len(centres) < FEWEST:
            return None
        others = ~np.isin(np.arange(frame.height), at)
        return cls(bare.numbers, bare.categories, tuple(tuple(c) for c in centres.tolist())), others

    def points(self, frame: pl.DataFrame) -> Array:
        """Cleaned rows -> (n, d); missing values stand in the middle."""
        directions = len(self.numbers) + sum(len(names) for _, names, _ in self.categories)
        points = np.empty((directions, frame.height))
        for out, (name, mean, std, weight) in zip(points, self.numbers, strict=False):
            values = frame[name]
            x = (values if values.dtype == pl.Float64 else values.cast(pl.Float64, strict=False)).to_numpy()
            np.subtract(x, mean, out=out)
            out /= std
            out[np.isnan(out)] = 0.0  # null is NaN there
            np.clip(out, -FAR, FAR, out=out)
            out *= weight
        at = len(self.numbers)
        for name, names, weight in self.categories:
            text = frame[name].cast(pl.String)
            for c in names:
                points[at] = weight * (text == c).fill_null(False).to_numpy()
                at += 1
        return points.T

    def __call__(self, frame: pl.DataFrame) -> pl.Series:
        """The cell of each cleaned row, as a category."""
        x, c = self.points(frame), np.asarray(self.centres)
        nearest = (-2.0 * x @ c.T + (c**2).sum(axis=1)).argmin(axis=1)
        return pl.Series(JOINT, [f"cell {i}" for i in range(len(c))]).gather(nearest)
