"""Points drawn evenly from the space."""

from __future__ import annotations

from typing import Annotated

from evermodel.core.model.trials import Racing, Search
from evermodel.core.settings import In

__all__ = ["random"]


def random(
    search: Search,
    /,
    *,
    slack: Annotated[float, In(0.0, 1.0)] = 0.03,
    sure: Annotated[float, In(0.0, 10.0)] = 1.5,
    first: Annotated[float, In(0.0, 1.0)] = 0.3,
) -> None:
    """Search by points drawn evenly (evenly in the logarithm where a dimension says so), raced against the best so far.

    A baseline that is hard to beat in many dimensions with few trials. See ``Racing`` for the settings.

        $ evermodel tune churn april.csv --with random --trials 60

    Source: https://www.jmlr.org/papers/v13/bergstra12a.html
    """
    import optuna

    sampler = optuna.samplers.RandomSampler(seed=search.seed)
    while not search.over():
        search.step(sampler, racing=Racing(slack, sure, first))
