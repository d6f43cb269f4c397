"""What every strategy must promise. ``check_strategy`` runs all checks; its error names the promise that is broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from evermodel.core.errors import NoData
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split, Strategy
from evermodel.testing.check_runner import check_docstring_has_an_example, check_function_signature, run_checks

Check = Callable[[Strategy, Model, Split], None]
SEED = 11
WATCHED = 40  # rows that are watched while training


def check_settings_are_typed(strategy: Strategy, parent: Model, split: Split) -> None:
    """Parents, rows and context stand before the slash; every setting is keyword-only, typed and has a default."""
    check_function_signature(strategy, positional=3)


def check_docstring(strategy: Strategy, parent: Model, split: Split) -> None:
    """The docstring says what the strategy does and shows a command that uses it."""
    check_docstring_has_an_example(strategy)


def check_parents_are_not_changed(strategy: Strategy, parent: Model, split: Split) -> None:
    """The parent predicts afterwards, bit by bit, what it predicted before."""
    before = parent.predict(split.new_rows.frame)
    strategy([parent], split, Context(seed=SEED))
    assert np.array_equal(before, parent.predict(split.new_rows.frame)), "the parent predicts something else"


def check_rows_are_not_changed(strategy: Strategy, parent: Model, split: Split) -> None:
    """The rows that it is given are not written to."""
    tables = [t for t in (split.new_rows, split.replay_rows, split.tuning_rows, split.watched_rows) if t is not None]
    before = [table.frame.clone() for table in tables]
    strategy([parent], split, Context(seed=SEED))
    same = [old.equals(table.frame, null_equal=True) for old, table in zip(before, tables, strict=True)]
    assert all(same), "rows were changed"


def check_same_seed_same_model(strategy: Strategy, parent: Model, split: Split) -> None:
    """The same parents, rows and seed give a model of the same predictions, bit by bit."""
    one, two = (strategy([parent], split, Context(seed=SEED)).predict(split.new_rows.frame) for _ in range(2))
    assert np.array_equal(one, two), f"predictions differ by up to {np.abs(one - two).max():.3g}"


def check_predictions_are_sound(strategy: Strategy, parent: Model, split: Split) -> None:
    """The new model's predictions are finite, have the parent's shape, and as probabilities sum to 1."""
    predictions = strategy([parent], split, Context(seed=SEED)).predict(split.new_rows.frame)
    expected = parent.predict(split.new_rows.frame).shape
    assert predictions.shape == expected, f"predictions have the shape {predictions.shape}, the parent's {expected}"
    assert np.isfinite(predictions).all(), "some predictions are not finite"
    if predictions.ndim == 2:
        assert np.allclose(predictions.sum(axis=1), 1.0, atol=1e-5), "probabilities do not sum to 1"


def check_contract_is_kept(strategy: Strategy, parent: Model, split: Split) -> None:
    """The new model has the parent's contract: the same columns, target and classes."""
    contract = strategy([parent], split, Context(seed=SEED)).contract
    assert contract == parent.contract, "the contract is another"


def check_replay_rows_may_be_missing(strategy: Strategy, parent: Model, split: Split) -> None:
    """Without rows remembered from earlier updates it makes a model that predicts, or raises NoData."""
    without = dataclasses.replace(split, replay_rows=None)
    try:
        model = strategy([parent], without, Context(seed=SEED))
    except NoData:
        return
    assert np.isfinite(model.predict(split.new_rows.frame)).all(), "some predictions are not finite"


def check_watched_rows_change_nothing(strategy: Strategy, parent: Model, split: Split) -> None:
    """Other labels in the rows whose loss is shown while training change nothing: the judge's rows are among them."""
    target = split.new_rows.roles.target or ""
    watched = split.new_rows.rows(np.arange(min(len(split.new_rows), WATCHED)))
    turned = dataclasses.replace(watched, frame=watched.frame.with_columns(watched.frame[target].reverse()))
    one, two = (
        strategy([parent], dataclasses.replace(split, watched_rows=rows), Context(seed=SEED)).predict(
            split.new_rows.frame
        )
        for rows in (watched, turned)
    )
    assert np.array_equal(one, two), "the labels of the watched rows changed the model"


CHECKS: tuple[Check, ...] = (
    check_settings_are_typed,
    check_docstring,
    check_parents_are_not_changed,
    check_rows_are_not_changed,
    check_same_seed_same_model,
    check_predictions_are_sound,
    check_contract_is_kept,
    check_replay_rows_may_be_missing,
    check_watched_rows_change_nothing,
)


def check_strategy(strategy: Strategy, parent: Model, split: Split) -> int:
    """Runs every check on a strategy's function; returns how many ran.

    ``parent``: a fitted model of a kind that the strategy is for. ``split``: new rows, and rows to replay. Raises
    AssertionError that names the broken promise.
    """
    return run_checks(CHECKS, "strategy", strategy.__name__, strategy, parent, split)
