"""A tuner: random points first, then steps around the best of them."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from evermodel.core.model.search_space import Dimension
from evermodel.core.model.trials import Search
from evermodel.core.records.search_record import Value
from evermodel.core.settings import In


def hill_climb(
    search: Search,
    /,
    *,
    start: Annotated[int, In(1, 1000)] = 10,
    width: Annotated[float, In(0.01, 1.0)] = 0.2,
) -> None:
    """Run ``start`` random points, then points near the best one: ``width`` is the step as a share of each range.

    $ evermodel tune churn april.csv --with hill_climb --set width=0.1 --trials 40
    """
    random = np.random.default_rng(search.seed)
    while not search.over():
        trials = search.trials()
        best = max(trials, key=lambda trial: trial.score).values if len(trials) >= start else None
        search.run({d.name: _draw(d, None if best is None else best[d.name], width, random) for d in search.space})


def _draw(d: Dimension, near: Value | None, width: float, random: np.random.Generator) -> Value:
    """A value of one dimension, anywhere or near another value."""
    if d.kind == "choice":
        return near if near is not None and random.random() > width else d.choices[random.integers(len(d.choices))]
    low, high = (math.log(d.low), math.log(d.high)) if d.log else (d.low, d.high)
    if near is None:
        at = random.uniform(low, high)
    else:
        middle = math.log(float(near)) if d.log else float(near)
        at = random.normal(middle, width * (high - low))
    value = min(max(math.exp(at) if d.log else at, d.low), d.high)
    return round(value) if d.kind == "int" else value
