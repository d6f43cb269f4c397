"""Tree-structured Parzen estimator: looks where good points have been, and gives up early on bad ones."""

from __future__ import annotations

from typing import Annotated

from evermodel.core.model.trials import Racing, Search
from evermodel.core.settings import In

__all__ = ["tpe"]


def tpe(
    search: Search,
    /,
    *,
    startup: Annotated[int, In(1, 1_000)] = 5,
    slack: Annotated[float, In(0.0, 1.0)] = 0.03,
    sure: Annotated[float, In(0.0, 10.0)] = 1.5,
    first: Annotated[float, In(0.0, 1.0)] = 0.3,
) -> None:
    """Search by a multivariate Parzen estimator, racing each point over folds and epochs against the best so far.

    The default. ``startup`` points are drawn evenly first; ``slack``, ``sure`` and ``first`` say when a point is given
    up (see ``Racing``). Some 4 ms a trial besides training. Deterministic given the seed, in one process.

        $ evermodel tune churn april.csv --with tpe --trials 40

    Source: https://proceedings.mlr.press/v28/bergstra13.html
    """
    import optuna

    sampler = optuna.samplers.TPESampler(
        n_startup_trials=startup, multivariate=True, constant_liar=True, seed=search.seed
    )
    racing = Racing(slack, sure, first)
    while not search.over():
        search.step(sampler, racing=racing)
