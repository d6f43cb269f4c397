"""Is the challenger not worse by more than the margin, beyond doubt, on new rows and on rows known before?"""

from __future__ import annotations

import math
from typing import Annotated

from evermodel.core.comparing import compare, margin_in_units, margin_lean, predicted
from evermodel.core.judgement import Comparison, PairedRows, PairedScores, Reason
from evermodel.core.judging import level
from evermodel.core.settings import In
from evermodel.core.statistics import normal_quantile, rows_needed
from evermodel.core.wording import described, size_of, with_rows

PAST_MARGINS = 3.0  # the champion may have been trained on the past rows, and an old concept may rightly be left behind


def not_worse(
    pair: PairedScores,
    /,
    *,
    margin: Annotated[float | None, In(0.0, None)] = None,
    past_margin: Annotated[float | None, In(0.0, None)] = None,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
    lend: Annotated[float, In(0.001, 0.4)] = 0.05,
) -> Reason:
    """Passes where "worse by ``margin`` or more" is refuted on the new rows, and by ``past_margin`` on the past rows.

    Margins: points of a score, percent of the loss for losses and R2; None is 1 point or 2 %, and three times that for
    the past. A loss on the past is let pass where the gain now is beyond doubt and larger: the world moved. ``lend`` is
    the error allowed instead of 1 - ``confidence`` where former updates of the recipe foretell no harm; above .05 the
    promise holds on average over updates, no longer for a bad challenger after good ones.
    """
    sure = _surety(pair, margin, confidence, lend)
    new, bound = _compared(pair, pair.new, margin_lean(pair.metric, margin), sure)
    found = _found("new", new, bound, margin_in_units(pair.metric, margin, new.champion), sure)
    if found.finding != "pass" or pair.past is None or not len(pair.past):
        return found
    lean = PAST_MARGINS * margin_lean(pair.metric, margin)
    if past_margin is not None:
        lean = margin_lean(pair.metric, past_margin)
    past, bound = _compared(pair, pair.past, lean, confidence)
    allowed = margin_in_units(pair.metric, margin, past.champion) * PAST_MARGINS
    if past_margin is not None:
        allowed = margin_in_units(pair.metric, past_margin, past.champion)
    before = _found("past", past, bound, allowed, confidence)
    if before.finding == "pass":
        return Reason("not_worse", "pass", f"{found.text} {before.text}", new)
    if new.p_value < 1 - confidence and new.gain > max(0.0, -past.gain):
        return Reason("not_worse", "pass", f"{found.text} Worse on past rows, better now: the world moved.", new)
    return before


def _surety(pair: PairedScores, margin: float | None, confidence: float, lend: float) -> float:
    sure = level(confidence, pair.look, pair.looks)
    mean, deviation = predicted(pair.earlier)
    if lend <= 1 - confidence or pair.looks > 1 or not math.isfinite(deviation):
        return sure
    allowed = margin_in_units(pair.metric, margin, pair.earlier[0].champion)
    return 1 - lend if mean - normal_quantile(confidence) * deviation > -allowed else sure


def _compared(pair: PairedScores, rows: PairedRows, lean: float, sure: float) -> tuple[Comparison, Comparison]:
    """The comparison as it is told, and the one whose interval is held against a margin that moves with the rows."""
    plain = compare(pair.metric, rows, confidence=2 * sure - 1, seed=pair.seed)
    bound = compare(pair.metric, rows, confidence=2 * sure - 1, seed=pair.seed, lean=lean) if lean else plain
    return plain, bound


def _found(which: str, c: Comparison, bound: Comparison, allowed: float, sure: float) -> Reason:
    words, most = described(c), size_of(c.metric, allowed)
    if math.isnan(c.difference):
        return Reason("not_worse", "invalid" if which == "new" else "hold", f"On the {which} rows {words}.", c)
    if bound.gain_low > -allowed:
        return Reason("not_worse", "pass", f"On the {which} rows at most {most} worse, beyond doubt: {words}.", c)
    if bound.gain_high < -allowed:
        return Reason("not_worse", "fail", f"On the {which} rows worse by more than {most}: {words}.", c)
    distance = c.gain + allowed
    if distance <= 0:  # the estimate itself is past the margin: what more rows would show is harm
        distance = -c.gain
    needed = rows_needed(distance, bound.standard_error, c.n, confidence=sure)
    text = f"On the {which} rows more than {most} of harm is not ruled out: {words}."
    return Reason("not_worse", "hold", with_rows(text, needed), c, needed)
