"""Is the challenger's file about as small as the champion's?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In


def size(pair: PairedScores, /, *, at_most: Annotated[float, In(0.0, None)] = 2.0) -> Reason:
    """Fails where the challenger's size is more than ``at_most`` times the champion's; holds if not measured."""
    if pair.champion_cost is None or pair.challenger_cost is None:
        return Reason("size", "hold", "Size was not measured for both models.")
    then, now = pair.champion_cost.size, pair.challenger_cost.size
    words = f"{then / 1e6:.3g} MB -> {now / 1e6:.3g} MB"
    if now > at_most * then:
        return Reason("size", "fail", f"{words}: more than {at_most:g} times as much.")
    return Reason("size", "pass", f"{words}.")
