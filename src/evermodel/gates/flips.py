"""How many rows that the champion had right does the challenger get wrong?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core import plugs
from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In
from evermodel.core.statistics import normal_quantile


def flips(
    pair: PairedScores,
    /,
    *,
    at_most: Annotated[float, In(0.0, 1.0)] = 0.05,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Fails where more than the share ``at_most`` of rows is shown to flip from right to wrong; classification only.

    People notice what used to work, whatever the mean says. Shown: Wilson's lower bound. Source: Yan et al. (2021),
    "Positive-congruent training".
    """
    if pair.task == "regression":
        return Reason("flips", "pass", "Flips are not defined for regression.")
    right = plugs.module("metrics", "accuracy").per_row
    flipped = right(pair.new.y, pair.new.champion) > right(pair.new.y, pair.new.challenger)
    n, share, z2 = len(flipped), float(flipped.mean()), normal_quantile(confidence) ** 2
    spread = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5
    low = (share + z2 / (2 * n) - spread) / (1 + z2 / n)
    words = f"{int(flipped.sum()):,} of {n:,} rows ({100 * share:.2g} %) were right and become wrong"
    if low > at_most:
        return Reason("flips", "fail", f"{words}: more than {100 * at_most:g} % beyond doubt.")
    return Reason("flips", "pass", f"{words}.")
