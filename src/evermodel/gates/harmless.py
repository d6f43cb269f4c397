"""Has the recipe that refreshes this model been shown to harm it?"""

from __future__ import annotations

import math
from typing import Annotated

from evermodel.core import plugs
from evermodel.core.comparing import compare, margin_in_units, pooled
from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In
from evermodel.core.wording import described, size_of

# So much worse on the rows at hand is a broken model, whatever the recipe did before: ten points, half the loss again.
BROKEN = {"points": 0.10, "% of the loss": 0.50}


def harmless(
    pair: PairedScores,
    /,
    *,
    margin: Annotated[float | None, In(0.0, None)] = None,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
    decay: Annotated[float, In(0.0, 1.0)] = 0.7,
) -> Reason:
    """Fails where the evidence pooled over updates shows the recipe worse by more than ``margin``; else passes.

    For the robust default alone, whose winner is finished on the judged rows: the judged model lacks the newest rows
    and understates it by a point (EVIDENCE), so that asking for a gain keeps stale models in service (up to 3.4 points
    lost on real streams, ``bench/streams.py``). Also fails where the rows at hand show a broken model.
    """
    now = compare(pair.metric, pair.new, confidence=2 * confidence - 1, seed=pair.seed)
    words = described(now)
    if math.isnan(now.difference):
        return Reason("harmless", "invalid", f"{words}: undefined on these rows, so they say nothing.", now)
    allowed = margin_in_units(pair.metric, margin, now.champion)
    broken = BROKEN[plugs.module("metrics", pair.metric).MARGIN_UNIT]
    if now.gain_high < -margin_in_units(pair.metric, 100.0 * broken, now.champion):
        return Reason("harmless", "fail", f"The challenger is shown far worse. {words}.", now)
    together = pooled(now, pair.earlier, decay)
    if together.gain_high < -allowed:
        return Reason("harmless", "fail", f"The recipe is shown worse. {words}; {described(together)}.", now)
    gain = "A gain" if now.gain > 0 else f"Not shown more than {size_of(pair.metric, allowed)} worse"
    return Reason("harmless", "pass", f"{gain}. {words}.", now)
