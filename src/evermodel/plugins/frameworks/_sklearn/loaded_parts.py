"""Every object that a loaded scikit-learn estimator holds, however deep: steps, sub-estimators, containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

LEAF_TYPES = (str, bytes, int, float, complex, bool, type(None), np.generic, type)


def list_parts(root: Any) -> list[Any]:
    """``root`` and all it holds, each object once, an owner before what it first holds.

    Walks with a list and not by recursion, so that a file nested thousands of levels deep cannot exhaust the stack.
    Plain numbers, texts and types are left out, numeric arrays too; costs one visit for each object.
    """
    parts, seen, waiting = [], {id(root)}, [root]
    while waiting:
        part = waiting.pop()
        parts.append(part)
        for child in _list_children(part):
            if not isinstance(child, LEAF_TYPES) and id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)
    return parts


def _list_children(part: Any) -> Iterator[Any]:
    if type(part).__module__.startswith("scipy.interpolate."):  # numbers with a formula: see rebuild_parts.py
        return
    if isinstance(part, Mapping):
        yield from part.keys()
        yield from part.values()
    elif isinstance(part, (list, tuple, set, frozenset)):
        yield from part
    elif isinstance(part, np.ndarray):
        if part.dtype.hasobject:
            yield from part.ravel().tolist()
        return
    yield from getattr(part, "__dict__", {}).values()
