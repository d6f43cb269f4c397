"""What every gate must promise. ``check_gate`` runs all checks; its AssertionError names the promise that is broken."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, Damaged
from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.verdict import Cost, Finding, Reason, VoteCount
from evermodel.core.settings import settings_of
from evermodel.judging.judge_input import Gate, JudgeInput, OtherAnswer, PairedPredictions
from evermodel.judging.verdict_wording import describe_reason

Check = Callable[[Gate], None]
REASON = RecordKind("reason", Reason)


def check_settings_have_defaults(gate: Gate) -> None:
    """Every setting has a default: a gate can be asked without knowing it."""
    function: Callable[..., Reason] = gate
    for setting in settings_of(function):
        assert setting.default is not inspect.Parameter.empty, f"the setting {setting.name!r} has no default"


def check_reason_names_gate_and_finding(gate: Gate) -> None:
    """The reason names the gate, and its finding is a ``Finding``: pass, hold, fail or invalid."""
    for judge_input in example_inputs():
        reason = gate(judge_input)
        assert isinstance(reason, Reason), reason
        assert isinstance(reason.finding, Finding), f"the finding is {reason.finding!r}"
        assert reason.gate == _name_of(gate), f"the reason names the gate {reason.gate!r}"


def check_reason_has_a_text(gate: Gate) -> None:
    """``describe_reason`` makes a sentence of it: a known code, or a template all of whose numbers are given."""
    for judge_input in example_inputs():
        reason = gate(judge_input)
        text = describe_reason(reason)
        assert text.strip(), f"the code {reason.code!r} has no text and no template"
        assert "{" not in text, f"the template names a number that is not given: {text!r}"


def check_reason_can_be_stored(gate: Gate) -> None:
    """The reason can be stored and read back unchanged: it holds plain numbers and strings only."""
    for judge_input in example_inputs():
        reason = gate(judge_input)
        try:
            stored = decode(REASON, encode(REASON, reason))
        except (TypeError, Damaged) as error:
            raise AssertionError(str(error)) from error
        assert repr(stored) == repr(dataclasses.replace(reason, code=str(reason.code))), f"{reason} became {stored}"


def check_same_rows_same_reason(gate: Gate) -> None:
    """The same rows and seed give the same reason."""
    for judge_input in example_inputs():
        first, second = gate(judge_input), gate(judge_input)
        assert repr(first) == repr(second), f"{first} then {second}"


def check_row_order_does_not_matter(gate: Gate) -> None:
    """Permuting the rows changes nothing about the finding."""
    for judge_input in example_inputs():
        at = np.random.default_rng(1).permutation(len(judge_input.new))
        first, second = gate(judge_input), gate(_permute_rows(judge_input, at))
        assert first.finding == second.finding, f"{first} then {second}"


def check_a_model_is_not_harmed_by_itself(gate: Gate) -> None:
    """The champion as its own challenger, at the same cost or of unknown cost, never fails for what its rows show."""
    for judge_input in example_inputs():
        rows = dataclasses.replace(judge_input.new, challenger=judge_input.new.champion)
        others = {name: OtherAnswer(other.task, rows) for name, other in judge_input.other_answers.items()}
        itself = dataclasses.replace(
            judge_input, new=rows, past=None, champion_cost=None, challenger_cost=None, other_answers=others
        )
        reason = gate(itself)
        assert reason.finding is not Finding.FAIL, reason


def check_nan_is_never_scored(gate: Gate) -> None:
    """Predictions that are NaN give no figure: BadData, "invalid", or a reason that did not use them."""
    judge_input = dataclasses.replace(example_inputs()[0], past=None)
    spoilt = judge_input.new.challenger.copy()
    spoilt[5] = np.nan
    with_nan = dataclasses.replace(judge_input, new=dataclasses.replace(judge_input.new, challenger=spoilt))
    try:
        reason = gate(with_nan)
    except BadData:
        return
    unused = reason.comparison is None and repr(reason) == repr(gate(judge_input))
    assert reason.finding is Finding.INVALID or unused, reason


def check_rows_needed_only_with_hold(gate: Gate) -> None:
    """Rows needed are named only with "hold", and are at least one."""
    for judge_input in example_inputs():
        reason = gate(judge_input)
        if reason.rows_needed is not None:
            assert reason.finding is Finding.HOLD, reason
            assert reason.rows_needed >= 1, reason


def check_inputs_are_not_changed(gate: Gate) -> None:
    """The arrays given are not written to."""
    for judge_input in example_inputs():
        rows = judge_input.new
        before = [a.copy() for a in (rows.y, rows.champion, rows.challenger)]
        gate(judge_input)
        after = (rows.y, rows.champion, rows.challenger)
        assert all((a == b).all() for a, b in zip(before, after, strict=True)), "an array was written to"


CHECKS: tuple[Check, ...] = (
    check_settings_have_defaults,
    check_reason_names_gate_and_finding,
    check_reason_has_a_text,
    check_reason_can_be_stored,
    check_same_rows_same_reason,
    check_row_order_does_not_matter,
    check_a_model_is_not_harmed_by_itself,
    check_nan_is_never_scored,
    check_rows_needed_only_with_hold,
    check_inputs_are_not_changed,
)


def check_gate(gate: Gate) -> int:
    """Runs every check on the gate; returns how many ran. Raises AssertionError naming the broken promise."""
    for check in CHECKS:
        try:
            check(gate)
        except AssertionError as error:
            raise AssertionError(f"The gate {_name_of(gate)} breaks: {check.__doc__} Got: {error}") from error
    return len(CHECKS)


def example_inputs() -> tuple[JudgeInput, ...]:
    """A better, an equal and a worse challenger, on 400 rows of two classes with three slices; one regression."""
    rng = np.random.default_rng(0)
    inputs = []
    for noise in (0.3, 1.0, 3.0):
        y = np.arange(400) % 2
        p = [1 / (1 + np.exp(-(2.0 * y - 1 + s * rng.standard_normal(400)))) for s in (1.0, noise)]
        slices = {f"third {i}": np.arange(400) % 3 == i for i in range(3)}
        champion, challenger = (np.column_stack([1 - q, q]) for q in p)
        rows = PairedPredictions(y, champion, challenger, slices=slices)
        inputs.append(
            JudgeInput(
                "binary",
                "auc",
                rows,
                past=rows,
                champion_cost=Cost(0.01, 100, 1000),
                usual_skill=0.5,
                challenger_cost=Cost(0.01 * noise, 100, 1000),
                trivial_predictions=np.full((400, 2), 0.5),
            )
        )
    inputs += [dataclasses.replace(one, other_answers={"other": OtherAnswer("binary", one.new)}) for one in inputs]
    inputs.append(dataclasses.replace(inputs[1], votes=VoteCount(14, 17, 4)))
    target = rng.standard_normal(400)
    numbers = PairedPredictions(target, target + rng.standard_normal(400), target + rng.standard_normal(400))
    inputs.append(JudgeInput("regression", "r2", numbers))
    return tuple(inputs)


def _permute_rows(judge_input: JudgeInput, at: Array) -> JudgeInput:
    rows, trivial = judge_input.new, judge_input.trivial_predictions
    slices = {name: inside[at] for name, inside in rows.slices.items()}
    permuted = PairedPredictions(rows.y[at], rows.champion[at], rows.challenger[at], None, slices)
    others = {
        name: OtherAnswer(
            other.task, PairedPredictions(other.rows.y[at], other.rows.champion[at], other.rows.challenger[at])
        )
        for name, other in judge_input.other_answers.items()
    }
    trivial = None if trivial is None else trivial[at]
    return dataclasses.replace(judge_input, new=permuted, trivial_predictions=trivial, other_answers=others)


def _name_of(gate: Gate) -> str:
    return str(getattr(gate, "__name__", type(gate).__name__))
