"""How much each half of a booster says: as much as would have served the rows that came since."""

from __future__ import annotations

import dataclasses

import numpy as np

from evermodel.core.framework import Parted
from evermodel.core.model import Model
from evermodel.core.table import Array, Table

SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the half that learnt from all rows
LEAST = 50  # rows; fewer tell nothing
TINY = 1e-15  # of a probability in a logarithm


def told_share(champion: Model, rows: Table) -> float:
    """Half of the way from an equal share to the one at which the champion's own two halves answer ``rows`` best.

    The champion never saw ``rows``, so this is an honest guess of what serves the ones to come: some streams drift on,
    others come back. An equal share where it has no two halves, or rows bring a class that it has no answer for.
    """
    plug = champion.framework
    parts = plug.parts(champion.obj) if isinstance(plug, Parted) else ()
    if len(parts) != 2 or len(rows) < LEAST:
        return 0.5
    plain = dataclasses.replace(champion, output=champion.output.uncorrected())
    first, second = (dataclasses.replace(plain, obj=part).predict(rows.frame) for part in parts)
    y = champion.target(rows)
    if first.ndim == 2 and int(y.max()) >= first.shape[1]:
        return 0.5
    best = min(SHARES, key=lambda share: _loss(share, first, second, y))
    return (0.5 + best) / 2


def _loss(share: float, first: Array, second: Array, y: Array) -> float:
    """Squared error, or log loss of the weighted mean of log odds: what scaled trees side by side answer."""
    if first.ndim == 1:
        return float(np.mean((share * first + (1 - share) * second - y) ** 2))
    z = share * np.log(np.maximum(first, TINY)) + (1 - share) * np.log(np.maximum(second, TINY))
    z -= z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y.astype(int)]))
