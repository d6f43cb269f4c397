"""What several updates of one recipe say together: their pooled difference, and the gain to expect of the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evermodel.core.records.verdict import Comparison, Method
from evermodel.core.stats.distributions import normal_quantile, normal_tail

FEWEST = 3  # updates from which a gain can be predicted


def pool_comparisons(now: Comparison, earlier: Sequence[Comparison], decay: float = 0.7) -> Comparison:
    """Mean difference of this and earlier updates, each weighing 1 / its variance, times ``decay`` per update of age.

    ``earlier`` is newest first, of the same recipe and metric. The result speaks of the recipe, not of the challenger.
    """
    same_metric = [now, *(c for c in earlier if c.metric == now.metric)]
    pairs = [(c, age) for age, c in enumerate(same_metric) if c.standard_error > 0 and math.isfinite(c.difference)]
    if not pairs or pairs[0][0] is not now:
        return now
    weights = np.array([decay**age / c.standard_error**2 for c, age in pairs])
    variances = np.array([c.standard_error**2 for c, _ in pairs])
    difference = float(weights @ np.array([c.difference for c, _ in pairs]) / weights.sum())
    error = float(np.sqrt((weights**2 * variances).sum()) / weights.sum())
    reach = normal_quantile(0.5 + now.confidence / 2.0) * error
    return Comparison(
        now.metric,
        now.champion,
        now.challenger,
        difference,
        difference - reach,
        difference + reach,
        sum(c.n for c, _ in pairs),
        now.higher_is_better,
        Method.POOLED,
        now.confidence,
        error,
        normal_tail(difference / error),
        n_updates=len(pairs),
    )


def predict_gain(earlier: Sequence[Comparison], decay: float = 0.7) -> tuple[float, float]:
    """Mean gain to expect of this recipe's next update, from earlier ones (newest first), and its standard deviation.

    The deviation counts what updates differ by beyond noise (DerSimonian & Laird) and is infinite for fewer than three.
    """
    pairs = [(c, age) for age, c in enumerate(earlier) if c.standard_error > 0 and math.isfinite(c.difference)]
    if len(pairs) < FEWEST:
        return 0.0, math.inf
    gains = np.array([c.gain for c, _ in pairs])
    precision = np.array([1.0 / c.standard_error**2 for c, _ in pairs])
    level = float(precision @ gains / precision.sum())
    scatter = float((precision * (gains - level) ** 2).sum()) - (len(gains) - 1)
    spread = max(0.0, scatter / float(precision.sum() - (precision**2).sum() / precision.sum()))
    weights = np.array([decay**age for _, age in pairs]) / (1.0 / precision + spread)
    weights /= weights.sum()
    return float(weights @ gains), math.sqrt(spread + float((weights**2 * (1.0 / precision + spread)).sum()))
