"""Is there a gain on the newest rows?"""

from __future__ import annotations

import math
from typing import Annotated

from evermodel.core.comparing import compare, pooled
from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In
from evermodel.core.statistics import rows_needed
from evermodel.core.wording import described, with_rows


def better(
    pair: PairedScores,
    /,
    *,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
    decay: Annotated[float, In(0.0, 1.0)] = 0.7,
) -> Reason:
    """Passes with a gain at the point estimate on the newest rows; fails where the challenger is shown worse there.

    Without a gain now, it also passes if the recipe is shown better on the evidence pooled with ``pair.earlier``, each
    update of age weighing ``decay`` less. That lends nothing to ``not_worse``, which always speaks of the rows now.
    """
    c = compare(pair.metric, pair.new, confidence=2 * confidence - 1, seed=pair.seed)
    words = described(c)
    if math.isnan(c.difference):
        return Reason("better", "invalid", f"{words}: undefined on these rows, so they say nothing.", c)
    if c.gain_high < 0:
        return Reason("better", "fail", f"The challenger is shown worse. {words}.", c)
    if c.gain > 0:
        doubt = "A gain beyond doubt" if c.p_value < 1 - confidence else "A gain, though not beyond doubt"
        return Reason("better", "pass", f"{doubt}. {words}.", c)
    together = pooled(c, pair.earlier, decay)
    if together.gain_low > 0:
        return Reason("better", "pass", f"No gain now, but the recipe is shown better: {described(together)}.", c)
    needed = rows_needed(-c.gain, c.standard_error, c.n, confidence=confidence)
    return Reason("better", "hold", with_rows(f"No gain. {words}.", needed), c, needed)
