"""Does the challenger answer about as fast as the champion?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In


def latency(pair: PairedScores, /, *, at_most: Annotated[float, In(0.0, None)] = 1.25) -> Reason:
    """Fails where the challenger's latency is more than ``at_most`` times the champion's; holds if not measured."""
    if pair.champion_cost is None or pair.challenger_cost is None:
        return Reason("latency", "hold", "Latency was not measured for both models.")
    then, now = pair.champion_cost.latency, pair.challenger_cost.latency
    words = f"{1e3 * then:.3g} ms -> {1e3 * now:.3g} ms a batch"
    if now > at_most * then:
        return Reason("latency", "fail", f"{words}: more than {at_most:g} times as much.")
    return Reason("latency", "pass", f"{words}.")
