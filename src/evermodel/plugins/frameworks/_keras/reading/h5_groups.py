"""Reads the groups of a Keras ``.h5``: lists of names, and the arrays behind them."""

from __future__ import annotations

from typing import Any

import numpy as np


def read_arrays(group: Any) -> list[tuple[str, Any]]:
    """The group's weights in the file's order: name and array."""
    return [(n, np.asarray(group[n])) for n in read_names(group, "weight_names")]


def read_names(group: Any, attribute: str) -> list[str]:
    """A list of names kept in one attribute, or, when too long for one, in several numbered ones."""
    if attribute in group.attrs:
        parts = [group.attrs[attribute]]
    else:
        parts = []
        while f"{attribute}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{attribute}{len(parts)}"])
    return [n.decode() if isinstance(n, bytes) else str(n) for part in parts for n in part]
