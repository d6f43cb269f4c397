"""The checks of testing/strategies.py: every strategy passes them all, and each catches one that breaks it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import pytest
from test_updates import model, table

from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.table import Table
from evermodel.core.errors import BadData
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import STRATEGIES, Context, Split
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles
from evermodel.core.settings import In
from evermodel.testing import strategies as checks
from evermodel.testing.check_runner import run_checks
from tests.frameworks.tiny_text_model import make_folder, make_rows

KINDS = {  # on what kind of model each strategy is checked
    "blend": "torch",
    "recency_ensemble": "lightgbm",
    "leaf_refit": "lightgbm",
    "age_weighted_mean": "lightgbm",
    "full": "transformers",
    "head": "transformers",
    "lora": "transformers",
    "none": "sklearn",
    "recalibrate": "sklearn",
    "refit": "lightgbm",
    "replay": "lightgbm",
    "resume": "lightgbm",
    "shrink_perturb": "torch",
    "widen": "torch",
}
_made: dict[str, Model] = {}


def parent(kind: str) -> Model:
    if kind == "torch" and kind not in _made:
        nn = pytest.importorskip("torch").nn
        from evermodel.plugins.frameworks import torch as plugin

        program = plugin.convert_object(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()))
        _made[kind] = dataclasses.replace(model("sklearn"), obj=program, framework=FRAMEWORKS.load_module("torch"))
    if kind == "transformers" and kind not in _made:
        _made[kind] = text_model()
    return _made[kind] if kind in _made else model(kind)


def text_model() -> Model:
    pytest.importorskip("transformers")
    from evermodel.plugins.frameworks import transformers as plugin

    with tempfile.TemporaryDirectory() as folder:
        obj = plugin.read_file(make_folder(Path(folder) / "intents"))
    contract = Contract("binary", Roles("intent"), (Column("text", "text"),), ("pay", "cook"))
    transform = Transform((Feature("text"),), layout="frame")
    return Model(contract, transform, obj, FRAMEWORKS.load_module("transformers"), Output(kind="logit"))


def text_table(n: int, seed: int) -> Table:
    frame = make_rows(("pay", "cook"), n, seed)
    codes = (frame["intent"] == "cook").cast(pl.Int64)
    return Table(frame.with_columns(codes), Roles("intent"), np.zeros(n))


def split(kind: str = "") -> Split:
    if kind == "transformers":
        return Split(text_table(32, 2), replay_rows=text_table(32, 1))
    kept = table(120, seed=1)
    return Split(dataclasses.replace(table(80, seed=2), blocks=np.full(80, 2)), replay_rows=kept)


def test_every_strategy_is_found_and_checked() -> None:
    assert set(STRATEGIES.names()) == set(KINDS)


@pytest.mark.parametrize("name", STRATEGIES.names())
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_strategy_passes(check: checks.Check, name: str) -> None:
    run_checks([check], "strategy", name, STRATEGIES.load(name), parent(KINDS[name]), split(KINDS[name]))


def trains_the_parent(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    """It moves the parent itself."""
    parents[0].obj.coef_ += 1
    return parents[0]


def writes_to_rows(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    data.new_rows.frame.insert_column(0, pl.lit(1).alias("one"))
    return parents[0]


def draws_unseeded(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    output = dataclasses.replace(parents[0].output, temperature=float(np.random.default_rng().uniform(1, 2)))
    return dataclasses.replace(parents[0], output=output)


def predicts_nan(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    return dataclasses.replace(parents[0], output=dataclasses.replace(parents[0].output, temperature=float("nan")))


def forgets_the_contract(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    return dataclasses.replace(parents[0], contract=dataclasses.replace(parents[0].contract, notes=("other",)))


def fails_without_replay_rows(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    if data.replay_rows is None:
        raise BadData("There are no rows to replay.")
    return parents[0]


def trains_on_watched_rows(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    rows = data.new_rows if data.watched_rows is None else data.watched_rows
    return parents[0].fit(rows, ctx.training(parents[0], None), from_scratch=True)


def has_no_docstring(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    return parents[0]


def untyped(parents, data, ctx, /, *, depth=3):  # type: ignore[no-untyped-def]
    return parents[0]


def without_default(parents: Sequence[Model], data: Split, ctx: Context, /, *, depth: int) -> Model:
    return parents[0]


def out_of_bounds(
    parents: Sequence[Model], data: Split, ctx: Context, /, *, depth: Annotated[int, In(1, 5)] = 9
) -> Model:
    return parents[0]


def of_another_type(parents: Sequence[Model], data: Split, ctx: Context, /, *, depth: int = "three") -> Model:  # type: ignore[assignment]
    return parents[0]


def of_a_list(parents: Sequence[Model], data: Split, ctx: Context, /, *, depths: list[int] = []) -> Model:  # noqa: B006
    return parents[0]


def none_where_a_value_is_needed(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    depth: int = None,  # type: ignore[assignment]  # noqa: RUF013
) -> Model:
    return parents[0]


def takes_any_setting(parents: Sequence[Model], data: Split, ctx: Context, /, **settings: int) -> Model:
    return parents[0]


def takes_two_arguments(parents: Sequence[Model], data: Split, /) -> Model:
    return parents[0]


BROKEN: list[tuple[checks.Check, Any]] = [
    (checks.check_settings_are_typed, untyped),
    (checks.check_settings_are_typed, without_default),
    (checks.check_settings_are_typed, out_of_bounds),
    (checks.check_settings_are_typed, of_another_type),
    (checks.check_settings_are_typed, of_a_list),
    (checks.check_settings_are_typed, none_where_a_value_is_needed),
    (checks.check_settings_are_typed, takes_any_setting),
    (checks.check_settings_are_typed, takes_two_arguments),
    (checks.check_docstring, has_no_docstring),
    (checks.check_parents_are_not_changed, trains_the_parent),
    (checks.check_rows_are_not_changed, writes_to_rows),
    (checks.check_same_seed_same_model, draws_unseeded),
    (checks.check_predictions_are_sound, predicts_nan),
    (checks.check_contract_is_kept, forgets_the_contract),
    (checks.check_replay_rows_may_be_missing, fails_without_replay_rows),
    (checks.check_watched_rows_change_nothing, trains_on_watched_rows),
]


@pytest.mark.parametrize(("check", "strategy"), BROKEN, ids=lambda v: v.__name__)
def test_a_check_catches_a_strategy_that_breaks_it(check: checks.Check, strategy: Any) -> None:
    with pytest.raises(AssertionError, match=check.__name__):
        run_checks([check], "strategy", strategy.__name__, strategy, parent("sklearn"), split())


def test_every_check_is_shown_to_catch_something() -> None:
    assert {check for check, _ in BROKEN} == set(checks.CHECKS)


def test_check_strategy_runs_them_all() -> None:
    assert checks.check_strategy(STRATEGIES.load("refit"), parent("lightgbm"), split()) == len(checks.CHECKS)
    with pytest.raises(AssertionError, match="The strategy 'untyped' breaks check_settings_are_typed"):
        checks.check_strategy(untyped, parent("sklearn"), split())
