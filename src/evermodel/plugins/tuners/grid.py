"""The textbook's grid: every point, on every fold, to its last epoch."""

from __future__ import annotations

from typing import Annotated

from evermodel.core.model.trials import Search
from evermodel.core.settings import In

__all__ = ["grid"]


def grid(search: Search, /, *, each: Annotated[int, In(1, 100)] = 3) -> None:
    """Search every point of the grid in full: all choices, and ``each`` values of every range. Nothing is given up.

    For comparison, and for spaces so small that nothing needs to be clever. Costs points x folds trainings.

        $ evermodel tune churn april.csv --with grid --space grid.json
    """
    for values in search.space.points(each):
        if search.over():
            return
        search.run(values)
