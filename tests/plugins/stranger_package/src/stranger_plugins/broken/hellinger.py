"""The drift statistic, broken: it says 0 where there are no rows, which reads as no drift."""

from __future__ import annotations

from evermodel.core.arrays import Array
from stranger_plugins import hellinger as whole

KINDS = whole.KINDS


def hellinger(reference: Array, current: Array, /) -> float:
    """0 without rows."""
    return whole.hellinger(reference, current) if len(current) else 0.0
