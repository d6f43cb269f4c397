"""Counts the rows that two versions answer differently, right or wrong."""

from __future__ import annotations

from evermodel.core.arrays import Array
from evermodel.core.stats.paired_tests import tango_interval
from evermodel.explaining.explanation import FlipCount


def count_flips(old: Array, new: Array) -> FlipCount:
    """Wins, losses and their net share of the rows with a 95 % interval (Tango, 1998).

    ``old`` and ``new`` (n,): the error of each row, 0 or 1 for an answer that is right or wrong. O(n).
    """
    wins, losses, n = int((new < old).sum()), int((new > old).sum()), len(old)
    low, high = tango_interval(wins, losses, n, 0.95)
    return FlipCount(n, wins, losses, (wins - losses) / n, low, high)
