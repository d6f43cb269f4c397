"""How much weight each part of a recency ensemble gets: what would have served the rows that came since."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.model.capabilities import Separable
from evermodel.core.model.model import Model

SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the part that learned from all rows
LEAST, MOST = 50, 2_000  # rows: fewer say nothing, more say no more than they cost


def choose_share(champion: Model, rows: Table) -> float:
    """Halfway between an equal share and the share at which the champion's own two parts predict ``rows`` best.

    The champion never saw ``rows``, so this is an honest estimate for the rows to come: some streams drift on, others
    return. It is an equal share where the champion has no two parts, and where rows bring a class it does not know.
    """
    if len(rows) > MOST:
        rows = rows.rows(np.linspace(0, len(rows) - 1, MOST).astype(int))
    plugin, y = champion.framework, champion.target(rows)
    if not isinstance(plugin, Separable) or len(rows) < LEAST or _classes_are_reordered(champion):
        return 0.5
    parts = plugin.predict_parts(champion.obj, champion.transform(rows.frame))
    if len(parts) != 2 or (parts[0].ndim == 2 and int(y.max()) >= parts[0].shape[1]):
        return 0.5
    best = min(SHARES, key=lambda share: _loss(champion, share * parts[0] + (1 - share) * parts[1], y))
    return (0.5 + best) / 2


def _classes_are_reordered(champion: Model) -> bool:
    own = champion.signature.classes
    return own is not None and tuple(own) != champion.contract.classes[: len(own)]


def _loss(champion: Model, z: Array, y: Array) -> float:
    """Squared error, or log loss, of margins."""
    if champion.contract.task == "regression":
        return float(np.mean((champion.output.without_correction()(z) - y) ** 2))
    if z.ndim == 1:
        return float(np.mean(np.logaddexp(0.0, z * (1 - 2 * y))))
    z = z - z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y.astype(int)]))
