"""Columns made normal by a power each, as scikit-learn's PowerTransformer does: a feeding that no word states.

It is read only as a rival. Where a model fits the rows no worse under it than under the best that can be stated, the
scaling is not known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.model.transform import Transform

MEANING = "a power of each column (Yeo-Johnson)"
FEWEST_VALUES = 3  # distinct ones; flags are only scaled


def apply_powers(transform: Transform, frame: pl.DataFrame) -> Array | None:
    """The inputs (n, width) with the most normal power of each number, standardised; None where there are none."""
    if transform.layout != "matrix" or transform.inputs or any(f.encoding == "text" for f in transform.features):
        return None
    x = np.asarray(transform(frame)).copy()
    starts = np.cumsum([0, *(f.width for f in transform.features)])[:-1]
    numbers = [(s, f) for s, f in zip(starts, transform.features, strict=True) if f.encoding == "value"]
    for start, feature in numbers:
        values = frame[feature.column].to_numpy().astype(np.float64)
        found = values[np.isfinite(values)]
        gap = feature.fill if feature.fill is not None else float(np.median(found)) if len(found) else 0.0
        x[:, start] = _make_normal(np.where(np.isfinite(values), values, gap))
    return x if numbers else None


def _make_normal(values: Array) -> Array:
    from scipy import stats

    made: Any = values
    if len(np.unique(values)) >= FEWEST_VALUES:
        with np.errstate(all="ignore"):
            made = stats.yeojohnson(values)[0]
    spread = float(np.std(made))
    if not np.isfinite(made).all() or spread <= 1e-9 * max(1.0, float(np.abs(made).max())):
        made, spread = values, float(np.std(values))
    return np.asarray((made - np.mean(made)) / (spread or 1.0))
