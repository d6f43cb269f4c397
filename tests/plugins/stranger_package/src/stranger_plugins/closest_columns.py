"""A pruner of centroids: it takes out the columns in which the centres are closest to one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In
from stranger_plugins.centroids import Centroids


def closest_columns(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    ratio: Annotated[float, In(0.0, 0.999)] = 0.5,
) -> Model:
    """Keep 1 - ``ratio`` of the columns: those in which the classes' centres are furthest apart. Trains nothing.

    Raises BadModel for models of other frameworks.

        $ evermodel prune churn --with closest_columns --ratio 0.5
    """
    parent = parents[0]
    if not isinstance(parent.obj, Centroids):
        raise BadModel("Only models of centroids have columns to compare their centres in.", "Use the pruner 'auto'.")
    features, centres = parent.transform.features, parent.obj.centres
    ends = np.cumsum([feature.width for feature in features])  # a column in one-hot code takes several places
    places = np.split(np.arange(ends[-1]), ends[:-1])
    distances = np.array([np.ptp(centres[:, at], axis=0).max() for at in places])
    kept = np.sort(np.argsort(-distances, kind="stable")[: max(1, round((1.0 - ratio) * len(features)))])
    transform = dataclasses.replace(parent.transform, features=tuple(features[i] for i in kept))
    narrower = Centroids(centres[:, np.concatenate([places[i] for i in kept])], parent.obj.classes)
    return dataclasses.replace(parent, transform=transform, obj=narrower)
