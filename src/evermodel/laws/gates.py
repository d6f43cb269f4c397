"""What every gate must obey. ``check_gate(function)`` runs all laws and raises AssertionError naming the broken one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import numpy as np

from evermodel.core.errors import BadData
from evermodel.core.judgement import Cost, Finding, PairedRows, PairedScores, Reason
from evermodel.core.settings import settings_of

Law = Callable[[Any], None]


def finding_is_known(gate: Any) -> None:
    """The finding is pass, hold, fail or invalid; the reason names the gate and says something in words."""
    for pair in example_pairs():
        reason = gate(pair)
        assert isinstance(reason, Reason)
        assert reason.finding in get_args(Finding), reason.finding
        assert reason.gate == gate.__name__, reason.gate
        assert reason.text.strip(), "no text"


def same_seed_same_reason(gate: Any) -> None:
    """The same rows and seed give the same reason."""
    for pair in example_pairs():
        first, second = gate(pair), gate(pair)
        assert repr(first) == repr(second), f"{first} then {second}"


def order_does_not_matter(gate: Any) -> None:
    """Permuting the rows changes nothing about the finding."""
    for pair in example_pairs():
        at = np.random.default_rng(1).permutation(len(pair.new))
        first, second = gate(pair), gate(_permuted(pair, at))
        assert first.finding == second.finding, f"{first} then {second}"


def a_model_is_not_harmed_by_itself(gate: Any) -> None:
    """The champion as its own challenger, at the same cost or of unknown cost, never fails for what its rows show."""
    for pair in example_pairs():
        rows = dataclasses.replace(pair.new, challenger=pair.new.champion)
        itself = dataclasses.replace(pair, new=rows, past=None, champion_cost=None, challenger_cost=None)
        assert gate(itself).finding != "fail", gate(itself)


def nan_never_passes_for_a_number(gate: Any) -> None:
    """Predictions that are NaN give no figure: BadData, "invalid", or a reason that did not look at them."""
    pair = example_pairs()[0]
    spoilt = pair.new.challenger.copy()
    spoilt[5] = np.nan
    with_nan = dataclasses.replace(pair, new=dataclasses.replace(pair.new, challenger=spoilt), past=None)
    try:
        reason = gate(with_nan)
    except BadData:
        return
    looked = reason.text != gate(pair).text or reason.comparison is not None
    assert reason.finding == "invalid" or not looked, reason


def rows_needed_means_hold(gate: Any) -> None:
    """Rows needed are named only with "hold", and are at least one."""
    for pair in example_pairs():
        reason = gate(pair)
        if reason.rows_needed is not None:
            assert reason.finding == "hold", reason
            assert reason.rows_needed >= 1, reason


def settings_have_defaults(gate: Any) -> None:
    """Every setting has a default: a gate can be asked without knowing it."""
    for setting in settings_of(gate):
        assert setting.default is not setting.__class__ and repr(setting.default) != "<class 'inspect._empty'>", setting


def inputs_stay(gate: Any) -> None:
    """The arrays given are not written to."""
    for pair in example_pairs():
        before = [a.copy() for a in (pair.new.y, pair.new.champion, pair.new.challenger)]
        gate(pair)
        after = (pair.new.y, pair.new.champion, pair.new.challenger)
        assert all((a == b).all() for a, b in zip(before, after, strict=True))


LAWS: tuple[Law, ...] = (
    finding_is_known,
    same_seed_same_reason,
    order_does_not_matter,
    a_model_is_not_harmed_by_itself,
    nan_never_passes_for_a_number,
    rows_needed_means_hold,
    settings_have_defaults,
    inputs_stay,
)


def check_gate(gate: Any) -> int:
    """Runs every law on the gate; returns how many ran. Raises AssertionError naming the law that broke."""
    for law in LAWS:
        try:
            law(gate)
        except AssertionError as error:
            raise AssertionError(f"{gate.__name__} breaks a law: {law.__doc__} Got: {error}") from error
    return len(LAWS)


def example_pairs() -> tuple[PairedScores, ...]:
    """A better, an equal and a worse challenger, on 400 rows of two classes with three slices; one regression."""
    rng = np.random.default_rng(0)
    pairs = []
    for noise in (0.3, 1.0, 3.0):
        y = np.arange(400) % 2
        p = [1 / (1 + np.exp(-(2.0 * y - 1 + s * rng.standard_normal(400)))) for s in (1.0, noise)]
        slices = {f"third {i}": np.arange(400) % 3 == i for i in range(3)}
        rows = PairedRows(y, np.column_stack([1 - p[0], p[0]]), np.column_stack([1 - p[1], p[1]]), slices=slices)
        pairs.append(
            PairedScores(
                "binary", "auc", rows, past=rows, champion_cost=Cost(0.01, 100, 1000), usual_skill=0.5,
                challenger_cost=Cost(0.01 * noise, 100, 1000), trivial=np.full((400, 2), 0.5),
            )
        )  # fmt: skip
    target = rng.standard_normal(400)
    numbers = PairedRows(target, target + rng.standard_normal(400), target + rng.standard_normal(400))
    pairs.append(PairedScores("regression", "r2", numbers))
    return tuple(pairs)


def _permuted(pair: PairedScores, at: Any) -> PairedScores:
    rows, trivial = pair.new, pair.trivial
    slices = {name: inside[at] for name, inside in rows.slices.items()}
    moved = PairedRows(rows.y[at], rows.champion[at], rows.challenger[at], None, slices)
    return dataclasses.replace(pair, new=moved, trivial=None if trivial is None else trivial[at])
