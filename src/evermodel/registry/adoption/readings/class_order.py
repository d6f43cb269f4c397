"""Which output of a classifier is which class: found from reference rows where they prove it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array

LEAST_PROBABILITY = 0.01  # one row counts at most log(100), however sure of itself the model is
PROOF = 7.0  # nats: the likelihood of the rows under the order is a thousand times that under the runner-up
SURE = 2.0  # and standard errors of the paired difference, where enough rows differ to tell
FEW_ROWS = 10


@dataclass(frozen=True)
class ClassOrder:
    """``columns[c]`` is the output that stands for class code ``c``; the leads are in nats, over the rows given."""

    columns: tuple[int, ...]
    runner_up: tuple[int, ...]
    lead: float  # over the runner-up
    proven: bool  # beyond doubt against the runner-up
    lead_over_given: float  # over the order in which the codes stand; 0 where they are the same
    given_is_refuted: bool  # beyond doubt

    @property
    def is_given(self) -> bool:
        return self.columns == tuple(range(len(self.columns)))


def find_class_order(p: Array, y: Array) -> ClassOrder:
    """The order under which probabilities ``p`` (n, k) make the class codes ``y`` (n,) likeliest, and the next one.

    Solved as an assignment of outputs to classes. The runner-up is the best order that differs anywhere, found by
    forbidding each pair of the best in turn; with more than 60 classes, by the best exchange of two of them.
    """
    from scipy.optimize import linear_sum_assignment

    k = p.shape[1]
    logs = np.log(np.clip(p, LEAST_PROBABILITY, 1.0))
    likelihood = np.zeros((k, k))  # [class, output]
    np.add.at(likelihood, y, logs)
    best = linear_sum_assignment(likelihood, maximize=True)[1]
    second = _find_runner_up(likelihood, best)
    lead, proven = _compare(logs, y, best, second)
    given = np.arange(k)
    over_given, refuted = (0.0, False) if (best == given).all() else _compare(logs, y, best, given)
    as_tuples = tuple(map(int, best)), tuple(map(int, second))
    return ClassOrder(*as_tuples, lead, proven, over_given, refuted)


def _find_runner_up(likelihood: Array, best: Array) -> Array:
    from scipy.optimize import linear_sum_assignment

    k, found, highest = len(best), best, -math.inf
    if k > 60:
        own = likelihood[np.arange(k), best]
        crossed = likelihood[:, best]  # [class, output of the other class]
        change = crossed + crossed.T - own[:, None] - own[None, :]
        np.fill_diagonal(change, -np.inf)
        a, b = np.unravel_index(int(change.argmax()), change.shape)
        exchanged = best.copy()
        exchanged[[a, b]] = best[[b, a]]
        return exchanged
    for c in range(k):
        forbidden = likelihood.copy()
        forbidden[c, best[c]] = -1e12
        tried = linear_sum_assignment(forbidden, maximize=True)[1]
        total = float(likelihood[np.arange(k), tried].sum())
        if total > highest:
            found, highest = tried, total
    return found


def _compare(logs: Array, y: Array, one: Array, other: Array) -> tuple[float, bool]:
    """By how many nats the order ``one`` is ahead of ``other``, and whether that is beyond doubt."""
    rows = np.arange(len(y))
    differences = logs[rows, one[y]] - logs[rows, other[y]]
    differences = differences[one[y] != other[y]]
    lead = float(differences.sum())
    if lead < PROOF:
        return lead, False
    if len(differences) < FEW_ROWS:
        return lead, True
    error = float(differences.std(ddof=1)) * math.sqrt(len(differences))
    return lead, lead > SURE * error
