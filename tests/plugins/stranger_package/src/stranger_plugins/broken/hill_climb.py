"""A tuner that leaves the space."""

from __future__ import annotations

from evermodel.core.model.trials import Search


def hill_climb(search: Search, /, *, step: float = 2.0) -> None:
    """The same climb, without a look at the ends of the ranges.

    $ evermodel tune churn april.csv --with hill_climb
    """
    while not search.over():
        search.run({d.name: d.choices[0] if d.choices else d.high * step for d in search.space})
