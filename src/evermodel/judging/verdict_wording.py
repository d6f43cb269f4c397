"""Puts the judge's reasons into sentences, in this one place: whoever shows a reason calls ``describe_reason``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from evermodel.core.records.verdict import Comparison, CostChange, JudgedRows, Method, Reason, ReasonCode
from evermodel.core.stats.metric import METRICS

ROWS = {
    JudgedRows.NEW: "new rows",
    JudgedRows.PAST: "rows known before",
    JudgedRows.HELD_OUT: "held-out rows",
    JudgedRows.GUARDED: "rows to guard",
    JudgedRows.TASK: "questions of the task",
}
_PLACEHOLDER = re.compile(r"\{(\w+)(?::([+,]?(?:\.\d{1,2})?[defg%]?))?\}")


def describe_reason(reason: Reason) -> str:
    """One or two sentences: what the gate found, on which rows, with interval and number of rows."""
    write = _TEXTS.get(reason.code)
    return write(reason) if write is not None else fill_template(reason)


def fill_template(reason: Reason) -> str:
    """The text of a gate from outside: its template with its numbers. Unknown names stay as they are."""

    def value(match: re.Match[str]) -> str:
        number = reason.numbers.get(match[1])
        return match[0] if number is None else format(number, match[2] or "g")

    return _PLACEHOLDER.sub(value, reason.template)


def describe_comparison(c: Comparison) -> str:
    """``AUC rose by 0.012, from 0.812 to 0.824 (95 % interval +0.004 to +0.020; 1,200 rows, DeLong)``."""
    interval = "no interval"
    if not math.isnan(c.low):
        interval = f"{100 * c.confidence:.3g} % interval {c.low:+.4g} to {c.high:+.4g}"
    return f"{_change(c)} ({interval}; {count_rows(c.n)}, {describe_method(c)})"


def describe_method(c: Comparison) -> str:
    """``DeLong``, ``paired bootstrap of 40 groups``, ``pooled over 6 updates``."""
    if c.method is Method.UNDEFINED:
        return "undefined on these rows"
    if c.method is Method.POOLED:
        return f"pooled over {c.n_updates} updates"
    return str(c.method) if c.n_groups is None else f"{c.method} of {c.n_groups} groups"


def describe_amount(metric: str, amount: float) -> str:
    """A difference in the metric's unit: ``1.2 points`` of a score, ``0.034`` of a loss."""
    if METRICS.load_module(metric).MARGIN_UNIT == "points":
        return "1 point" if abs(100 * amount - 1) < 1e-9 else f"{100 * amount:.3g} points"
    return f"{amount:.3g}"


def count_rows(n: int) -> str:
    """``1 row``, ``1,200 rows``."""
    return "1 row" if n == 1 else f"{n:,} rows"


def _change(c: Comparison) -> str:
    label = METRICS.load_module(c.metric).LABEL
    if math.isnan(c.difference):
        return f"{label} is undefined"
    if c.difference == 0:
        return f"{label} stayed at {c.champion:.4g}"
    verb = "rose" if c.difference > 0 else "fell"
    return f"{label} {verb} by {abs(c.difference):.4g}, from {c.champion:.4g} to {c.challenger:.4g}"


def _on_rows(reason: Reason) -> str:
    """``on the new rows AUC rose by …``"""
    c = _compared(reason)
    return f"on the {ROWS[JudgedRows(reason.rows)]} {describe_comparison(c)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _compared(reason: Reason) -> Comparison:
    if reason.comparison is None:
        raise ValueError(f"A reason {reason.code!r} of the gate {reason.gate!r} needs a comparison.")
    return reason.comparison


def _margin(reason: Reason) -> str:
    return describe_amount(_compared(reason).metric, reason.margin or 0.0)


def _needed(reason: Reason) -> str:
    n = reason.rows_needed
    return f" About {n:,} judged rows would decide." if n else ""


def _undefined(reason: Reason) -> str:
    c = _compared(reason)
    label = METRICS.load_module(c.metric).LABEL
    rows = ROWS[JudgedRows(reason.rows)]
    return f"On the {rows} {label} is undefined ({count_rows(c.n)}): no evidence for or against the challenger."


def _gain_uncertain(reason: Reason) -> str:
    return f"{_sentence(_on_rows(reason))} This gain is not beyond doubt."


def _no_gain(reason: Reason) -> str:
    return f"There is no gain: {_on_rows(reason)}.{_needed(reason)}"


def _recipe_better(reason: Reason) -> str:
    pooled = describe_comparison(reason.pooled) if reason.pooled is not None else ""
    return (
        f"There is no gain now: {_on_rows(reason)}. Over several updates this recipe is better beyond doubt: {pooled}."
    )


def _recipe_worse(reason: Reason) -> str:
    pooled = describe_comparison(reason.pooled) if reason.pooled is not None else ""
    return f"Over several updates this recipe is worse beyond doubt: {pooled}. {_sentence(_on_rows(reason))}"


def _recipe_no_worse(reason: Reason) -> str:
    pooled = describe_comparison(reason.pooled) if reason.pooled is not None else ""
    return (
        f"These rows alone do not rule out a loss of {_margin(reason)}: {_on_rows(reason)}. "
        f"Over several updates the models of this recipe rule it out: {pooled}."
    )


def _not_shown_worse(reason: Reason) -> str:
    if _compared(reason).gain > 0:
        return f"The challenger is not shown to be worse: {_on_rows(reason)}."
    return f"The challenger is not shown to be more than {_margin(reason)} worse: {_on_rows(reason)}."


def _within_margin(reason: Reason) -> str:
    text = f"The challenger is less than {_margin(reason)} worse beyond doubt: {_on_rows(reason)}."
    if reason.past is None:
        return text
    allowed = describe_amount(reason.past.metric, reason.past_margin or 0.0)
    past = f"on the rows known before {describe_comparison(reason.past)}"
    if reason.code == ReasonCode.PAST_LOSS_OUTWEIGHED:
        return f"{text} {_sentence(past)} The gain on the new rows is beyond doubt: what is asked now has changed."
    return f"{text} It is also less than {allowed} worse there beyond doubt: {past}."


def _slice_harmed(reason: Reason) -> str:
    c, slices = _compared(reason), reason.slices
    if slices is None:
        return f"A slice is worse beyond doubt: {_on_rows(reason)}."
    harm = describe_amount(c.metric, -c.gain)
    tested = f"p {slices.p_value:.2g} over {slices.n_tested} slices"
    return f"The slice {slices.harmed!r} is harmed by about {harm} ({tested}): {_on_rows(reason)}."


def _no_slice(reason: Reason) -> str:
    n = 0 if reason.slices is None else reason.slices.n_given
    of = " of the rows known before" if reason.rows == JudgedRows.PAST else ""
    return f"No slice{of} has enough rows to be tested ({n} given)." if n else f"There are no slices{of} to test."


def _slices_unharmed(reason: Reason) -> str:
    n = 0 if reason.slices is None else reason.slices.n_tested
    of = " of the rows known before" if reason.rows == JudgedRows.PAST else ""
    return f"No harm is shown in any of {n} slices{of}." if n != 1 else f"No harm is shown in the one slice{of}."


def _skill(reason: Reason) -> str:
    change = reason.skill
    if change is None:
        return "The usual skill of this model is not known."
    return (
        f"The challenger removes {100 * change.now:.0f} % of the trivial baseline's loss on these rows; "
        f"usually it removes {100 * change.usual:.0f} %"
    )


def _times_baseline(reason: Reason) -> float:
    return 1.0 - (reason.skill.now if reason.skill else 0.0)


def _flips(reason: Reason) -> str:
    flips = reason.flips
    if flips is None:
        return "The rows that became wrong were not counted."
    share = 100 * flips.n_flipped / max(1, flips.n)
    return f"{flips.n_flipped:,} of {count_rows(flips.n)} ({share:.2g} %) were right and are now wrong"


def _events(reason: Reason) -> str:
    events = reason.events
    if events is None:
        return "The events were not counted."
    return f"{events.n_events:,} of {count_rows(events.n)} lie outside of the commonest class"


def _too_few_events(reason: Reason) -> str:
    least = reason.events.needed if reason.events is not None else 0
    return f"{_events(reason)}; a verdict needs {least:,}.{_needed(reason)}"


def _costs(reason: Reason) -> CostChange:
    if reason.cost is None:
        raise ValueError(f"A reason {reason.code!r} of the gate {reason.gate!r} needs both models' costs.")
    return reason.cost


def _latency(reason: Reason) -> str:
    cost = _costs(reason)
    return f"A batch takes {1e3 * cost.challenger.latency:.3g} ms instead of {1e3 * cost.champion.latency:.3g} ms"


def _size(reason: Reason) -> str:
    cost = _costs(reason)
    return f"The file takes {cost.challenger.size / 1e6:.3g} MB instead of {cost.champion.size / 1e6:.3g} MB"


def _cost_changes(reason: Reason) -> str:
    cost = _costs(reason)
    latency = cost.challenger.latency / cost.champion.latency - 1 if cost.champion.latency > 0 else 0.0
    size = cost.challenger.size / cost.champion.size - 1 if cost.champion.size else 0.0
    return f"latency {100 * latency:+.0f} %, size {100 * size:+.0f} %"


def _votes(reason: Reason) -> str:
    votes = reason.votes
    if votes is None:
        return "their votes were not counted"
    interval = (
        f"{100 * votes.confidence:.3g} % interval of the difference {100 * votes.low:+.3g} to {100 * votes.high:+.3g}"
    )
    ties = f", {votes.ties:,} ties" if votes.ties else ""
    return (
        f"{votes.for_champion:,} votes for the champion, {votes.for_challenger:,} for the challenger{ties} ({interval} "
        f"points; p {votes.p_value:.2g}, sign test)"
    )


def _cheaper(reason: Reason) -> str:
    cost = _costs(reason)
    slower = cost.size_only and cost.challenger.latency > (1 + cost.limit) * cost.champion.latency
    return f"The challenger is cheaper: {_cost_changes(reason)}." + (" It is slower; its gain is its size." * slower)


def _not_cheaper(reason: Reason) -> str:
    cost = _costs(reason)
    what = "smaller" if cost.size_only else "faster or smaller"
    return f"The challenger is not {what} by {100 * cost.limit:.0f} %: {_cost_changes(reason)}."


_TEXTS: dict[str, Callable[[Reason], str]] = {
    ReasonCode.METRIC_UNDEFINED: _undefined,
    ReasonCode.ROWS_UNSCORABLE: lambda r: r.message,
    ReasonCode.SUSPICION_REFUTED: lambda r: (
        f"The {r.message}. They are taken for rows of a new kind and not for wrong ones: the challenger learnt from "
        "them and is better beyond doubt on the others."
    ),
    ReasonCode.ROWS_SUSPECT: lambda r: f"The rows are suspect: {r.message}. Look at the data before updating.",
    ReasonCode.NOT_FOR_REGRESSION: lambda r: f"The gate {r.gate!r} applies to classification only.",
    ReasonCode.TOO_FEW_EVENTS: _too_few_events,
    ReasonCode.ENOUGH_EVENTS: lambda r: f"{_events(r)}.",
    ReasonCode.EVENTS_NOT_COUNTED: lambda r: f"The gate {r.gate!r} counts classes, and does not apply here.",
    ReasonCode.GAIN_SHOWN: lambda r: f"The challenger is better beyond doubt: {_on_rows(r)}.",
    ReasonCode.GAIN_UNCERTAIN: _gain_uncertain,
    ReasonCode.NO_GAIN: _no_gain,
    ReasonCode.SHOWN_WORSE: lambda r: f"The challenger is worse beyond doubt: {_on_rows(r)}.",
    ReasonCode.FAR_WORSE: lambda r: f"The challenger is far worse beyond doubt, as a broken model is: {_on_rows(r)}.",
    ReasonCode.NOT_SHOWN_WORSE: _not_shown_worse,
    ReasonCode.RECIPE_SHOWN_BETTER: _recipe_better,
    ReasonCode.RECIPE_SHOWN_WORSE: _recipe_worse,
    ReasonCode.RECIPE_NO_WORSE: _recipe_no_worse,
    ReasonCode.WITHIN_MARGIN: _within_margin,
    ReasonCode.PAST_LOSS_OUTWEIGHED: _within_margin,
    ReasonCode.NO_PAST_ROWS: lambda _: "There are no rows known before that could show what is forgotten.",
    ReasonCode.PAST_KEPT: lambda r: f"No loss of more than {_margin(r)} is shown: {_on_rows(r)}.",
    ReasonCode.PAST_FORGOTTEN: lambda r: f"A loss of more than {_margin(r)} is beyond doubt: {_on_rows(r)}.",
    ReasonCode.NO_GUARD: lambda _: "The metric that decides is the one that is looked at; no other guards.",
    ReasonCode.NO_GUARD_ROWS: lambda _: "No rows to guard were given.",
    ReasonCode.GUARD_KEPT: lambda r: _sentence(_on_rows(r)),
    ReasonCode.GUARD_FELL: lambda r: f"The estimate fell by more than {_margin(r)}, the margin: {_on_rows(r)}.",
    ReasonCode.GUARD_SHOWN_WORSE: lambda r: f"The challenger is worse beyond doubt: {_on_rows(r)}.",
    ReasonCode.BEYOND_MARGIN: lambda r: f"The challenger is more than {_margin(r)} worse beyond doubt: {_on_rows(r)}.",
    ReasonCode.HARM_NOT_EXCLUDED: lambda r: (
        f"A loss of more than {_margin(r)} is not ruled out: {_on_rows(r)}.{_needed(r)}"
    ),
    ReasonCode.NO_SLICE_TESTED: _no_slice,
    ReasonCode.SLICES_UNHARMED: _slices_unharmed,
    ReasonCode.SLICE_HARMED: _slice_harmed,
    ReasonCode.ANSWERS_UNHARMED: lambda r: (
        f"No other answer is shown worse: {r.answer}." if r.answer else "The model gives no other answer."
    ),
    ReasonCode.ANSWER_HARMED: lambda r: f"The answer {r.answer!r} is worse beyond doubt: {_on_rows(r)}.",
    ReasonCode.NO_VOTES: lambda _: "There are no votes of people.",
    ReasonCode.VOTES_KEPT: lambda r: f"People are not shown to prefer the champion's answers: {_votes(r)}.",
    ReasonCode.VOTES_SHOWN_WORSE: lambda r: f"People prefer the champion's answers beyond doubt: {_votes(r)}.",
    ReasonCode.SKILL_UNKNOWN: lambda _: "The usual skill of this model is not known, so these rows are not compared.",
    ReasonCode.SKILL_UNDEFINED: lambda _: "The trivial baseline makes no error on these rows, so skill is undefined.",
    ReasonCode.SKILL_KEPT: lambda r: f"{_skill(r)}.",
    ReasonCode.BELOW_BASELINE: lambda r: (
        f"On the {ROWS[JudgedRows(r.rows)]} even the challenger does worse than always giving the answer that "
        f"was usual before: its error is {_times_baseline(r):.2f} times as large. Do not rely on its answers for such "
        "rows."
    ),
    ReasonCode.SKILL_LOST: lambda r: f"{_skill(r)}. Look at the data (labels, units, joins) before updating.",
    ReasonCode.CALIBRATION_KEPT: lambda r: _sentence(_on_rows(r)),
    ReasonCode.CALIBRATION_WORSE: lambda r: (
        f"The probabilities are worse calibrated by more than {_margin(r)} beyond doubt: {_on_rows(r)}."
    ),
    ReasonCode.FLIPS_WITHIN_LIMIT: lambda r: f"{_flips(r)}.",
    ReasonCode.FLIPS_ABOVE_LIMIT: lambda r: (
        f"{_flips(r)}: more than {100 * (r.flips.limit if r.flips else 0.0):g} % beyond doubt."
    ),
    ReasonCode.COST_NOT_MEASURED: lambda _: "Latency and size were not measured alike for both models.",
    ReasonCode.LATENCY_WITHIN_LIMIT: lambda r: f"{_latency(r)}.",
    ReasonCode.LATENCY_ABOVE_LIMIT: lambda r: f"{_latency(r)}: more than {_costs(r).limit:g} times as long.",
    ReasonCode.SIZE_WITHIN_LIMIT: lambda r: f"{_size(r)}.",
    ReasonCode.SIZE_ABOVE_LIMIT: lambda r: f"{_size(r)}: more than {_costs(r).limit:g} times as much.",
    ReasonCode.CHEAPER: _cheaper,
    ReasonCode.NOT_CHEAPER: _not_cheaper,
}
