"""Is any slice of the rows harmed, though the whole is not?"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from evermodel.core.comparing import compare, margin_in_units
from evermodel.core.judgement import Comparison, PairedScores, Reason
from evermodel.core.judging import rows_at
from evermodel.core.settings import In
from evermodel.core.statistics import holm, mcnemar, shrunk
from evermodel.core.wording import described, size_of


def slices(
    pair: PairedScores,
    /,
    *,
    error: Annotated[float, In(0.001, 0.5)] = 0.1,
    slice_margin: Annotated[float | None, In(0.0, None)] = None,
    least: Annotated[int, In(2, None)] = 30,
) -> Reason:
    """Fails where a slice is shown worse, and its loss, shrunk towards the whole, is more than ``slice_margin``.

    ``error``: chance that an equal model fails anywhere, over all slices (Holm). Twenty hard gates would fail an equal
    model nearly always. Slices of fewer than ``least`` rows are not tested. Margin: points or percent; None is .5 or 1,
    half of what the whole is allowed: the shrinking already asks for more.
    """
    compared = {
        name: compare(pair.metric, rows_at(pair.new, inside), seed=pair.seed)
        for name, inside in pair.new.slices.items()
        if int(inside.sum()) >= least
    }
    tested = {name: c for name, c in compared.items() if c.standard_error > 0}
    if not tested:
        return Reason("slices", "pass", f"No slice to test ({len(pair.new.slices)} given).")
    whole = compare(pair.metric, pair.new, seed=pair.seed)
    gains = np.array([c.gain for c in tested.values()])
    pulled = shrunk(gains, np.array([c.standard_error**2 for c in tested.values()]), whole.gain)
    worst = None
    for (name, c), p, gain in zip(tested.items(), holm([_harm(c) for c in tested.values()]), pulled, strict=True):
        allowed = margin_in_units(pair.metric, slice_margin, c.champion) * (0.5 if slice_margin is None else 1.0)
        if p <= error and gain < -allowed and (worst is None or c.gain < worst[1].gain):
            worst = (name, c, p)
    if worst is None:
        return Reason("slices", "pass", f"No harm shown in any of {len(tested)} slices.")
    name, c, p = worst
    text = f"Slice {name!r} is harmed by about {size_of(c.metric, -c.gain)} (p {p:.2g} over {len(tested)} slices): "
    return Reason("slices", "fail", f"{text}{described(c)}.", c)


def _harm(c: Comparison) -> float:
    """One-sided p value of "the challenger is not worse here"."""
    if c.method == "McNemar":  # exact p values of few pairs waste half the error allowed: the middle one does not
        lost_more = round(-c.gain * c.n)
        pairs = round((c.standard_error * c.n) ** 2 + lost_more**2 / c.n)
        p = mcnemar((pairs - lost_more) // 2, (pairs + lost_more) // 2, mid=True)
    else:
        p = c.p_value
    return p / 2 if c.gain < 0 else 1 - p / 2
