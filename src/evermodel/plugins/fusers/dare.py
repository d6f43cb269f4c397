"""DARE: most of what each model changed is dropped at random, the rest scaled up, then averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.members import get_matching_weights, list_members, replace_weights
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In
from evermodel.plugins.fusers._average.fold_normalisation import behind

__all__ = ["NEEDS_ANCESTOR", "dare"]

NEEDS_ANCESTOR = True  # the first parent is what the others came from


def dare(
    parents: Sequence[Model], data: Split, context: Context, /, *, drop: Annotated[float, In(0.0, 0.99)] = 0.5
) -> Model:
    """Merge models by a random part of what each changed since their ancestor (the first parent), the rest dropped.

    A kept change is divided by ``1 - drop``, so that the expected change stays. For large fine-tuned networks, whose
    changes are redundant; small ones lose by it. Deterministic given ``context.seed``. Raises BadModel.

        $ evermodel fuse churn v2 v3 --with dare --set drop=0.8 --data april.csv

    Source: https://arxiv.org/abs/2311.03099
    """
    if len(parents) < 3:
        raise BadModel(f"dare takes an ancestor and at least two models. Got {len(parents)} in all.")
    members = [m for m, _ in list_members(parents)]
    base, *others = members
    start, *ends = get_matching_weights([base, *(behind(m, base) for m in others)])
    random = np.random.default_rng(context.seed)
    merged = []
    for at, origin in enumerate(start):
        origin = origin.astype(np.float64)
        kept = [random.random(origin.shape) >= drop for _ in ends]
        parts = [np.where(k, end[at] - origin, 0.0) / (1.0 - drop) for k, end in zip(kept, ends, strict=True)]
        merged.append(origin + np.mean(parts, axis=0))
    return replace_weights(base, merged)
