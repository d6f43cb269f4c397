"""How much each half of a booster says: as much as would have served the rows that came since."""

from __future__ import annotations

import numpy as np

from evermodel.core.framework import Parted
from evermodel.core.model import Model
from evermodel.core.table import Array, Table

SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the half that learnt from all rows
LEAST, MOST = 50, 2_000  # rows; fewer tell nothing, more tell no more than they cost


def told_share(champion: Model, rows: Table) -> float:
    """Half of the way from an equal share to the one at which the champion's own two halves answer ``rows`` best.

    The champion never saw ``rows``, so this is an honest guess of what serves the ones to come: some streams drift on,
    others come back. An equal share where it has no two halves, or rows bring a class that it has no answer for.
    """
    if len(rows) > MOST:
        rows = rows.rows(np.linspace(0, len(rows) - 1, MOST).astype(int))
    plug, y = champion.framework, champion.target(rows)
    if not isinstance(plug, Parted) or len(rows) < LEAST or _other_order(champion):
        return 0.5
    parts = plug.parts(champion.obj, champion.transform(rows.frame))
    if len(parts) != 2 or (parts[0].ndim == 2 and int(y.max()) >= parts[0].shape[1]):
        return 0.5
    best = min(SHARES, key=lambda share: _loss(champion, share * parts[0] + (1 - share) * parts[1], y))
    return (0.5 + best) / 2


def _other_order(champion: Model) -> bool:
    own = champion.needs.classes
    return own is not None and tuple(own) != champion.contract.classes[: len(own)]


def _loss(champion: Model, z: Array, y: Array) -> float:
    """Squared error, or log loss, of margins."""
    if champion.contract.task == "regression":
        return float(np.mean((champion.output.uncorrected()(z) - y) ** 2))
    if z.ndim == 1:
        return float(np.mean(np.logaddexp(0.0, z * (1 - 2 * y))))
    z = z - z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y.astype(int)]))
