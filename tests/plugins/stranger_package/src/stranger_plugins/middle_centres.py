"""A fuser of centroids: the median of the members' centres."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from stranger_plugins.centroids import Centroids


def middle_centres(parents: Sequence[Model], data: Split, context: Context, /) -> Model:
    """The median, coordinate by coordinate, of the members' centres: one member that went astray moves it little.

    Raises BadModel for fewer than two members, and for models of other frameworks.

        $ evermodel fuse churn v2 v3 v4 --with middle_centres
    """
    members = [parent.obj for parent in parents if isinstance(parent.obj, Centroids)]
    if len(members) < 2 or len(members) < len(parents):
        raise BadModel(f"Two or more models of centroids can be fused. Got {len(members)} of {len(parents)}.")
    centres = np.median([member.centres for member in members], axis=0)
    return dataclasses.replace(parents[0], obj=Centroids(centres, members[0].classes))
