"""Between two models' weights along the arc that joins them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.members import get_matching_weights, list_members, replace_weights
from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In
from evermodel.plugins.fusers._average.fold_normalisation import behind

__all__ = ["slerp"]


def slerp(
    parents: Sequence[Model], data: Split, context: Context, /, *, t: Annotated[float, In(0.0, 1.0)] = 0.5
) -> Model:
    """Interpolate two models' weights spherically, each parameter by itself: ``t`` 0 is the first, 1 the second.

    Keeps the weights' length, where a plain mean of two directions shrinks it. For two models of one lineage. Raises
    BadModel for other than two models.

        $ evermodel fuse churn v2 v3 --with slerp --set t=0.3 --data april.csv

    Source: Shoemake, Animating rotation with quaternion curves, 1985
    """
    members = [m for m, _ in list_members(parents)]
    if len(members) != 2:
        raise BadModel(f"slerp takes two models. Got {len(members)}.", "Use average or soup for more.")
    first = members[0]
    a, b = get_matching_weights([first, behind(members[1], first)])
    return replace_weights(first, [_arc(x, y, t) for x, y in zip(a, b, strict=True)])


def _arc(a: Array, b: Array, t: float) -> Array:
    """Both in float64, flattened; nearly parallel or zero ones linearly."""
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    lengths = np.linalg.norm(x), np.linalg.norm(y)
    cosine = float(x @ y / (lengths[0] * lengths[1])) if min(lengths) > 0 else 1.0
    if abs(cosine) > 0.9995:
        return np.asarray((1.0 - t) * x + t * y).reshape(a.shape)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    mixed = (np.sin((1.0 - t) * angle) * x + np.sin(t * angle) * y) / np.sin(angle)
    return np.asarray(mixed).reshape(a.shape)
