"""How deep a tree of a model file may be, whichever library grew it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evermodel.core.arrays import Array

MAX_DEPTH = 4096  # libraries recurse over levels: hundreds of thousands overflow the stack of the process


def is_too_deep(left: Sequence[float] | Array, right: Sequence[float] | Array) -> bool:
    """Whether some way from node 0 is longer than MAX_DEPTH, or nodes are reached by several ways.

    ``left`` and ``right`` (n,): the children of each node, negative for none; each must lie inside the arrays. Costs
    O(n) for a tree, nothing for one with so few nodes that it cannot be deep.
    """
    if len(left) <= MAX_DEPTH:
        return False
    children = np.stack([np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)])
    level, visited = np.zeros(1, dtype=np.int64), 1
    for _ in range(MAX_DEPTH + 1):
        level = children[:, level].ravel()
        level = level[level >= 0]
        visited += len(level)
        if not len(level):
            return False
        if visited > len(left):
            return True
    return True
