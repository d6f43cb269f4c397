"""The laws of laws/updates.py, on every change there is; and on changes that break one law each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from test_updates import model, table

from evermodel.core import plugs
from evermodel.core.change import Context, Split
from evermodel.core.errors import BadData
from evermodel.core.model import Model
from evermodel.laws import updates as laws

KINDS = {  # on what kind of model each change is checked
    "blend": "torch",
    "finish_blend": "torch",
    "halves": "lightgbm",
    "leaf_refit": "lightgbm",
    "mean": "lightgbm",
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
        from evermodel.frameworks import torch as plug

        program = plug.taken(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()))
        _made[kind] = dataclasses.replace(model("sklearn"), obj=program, framework=plugs.module("frameworks", "torch"))
    return _made[kind] if kind == "torch" else model(kind)


def split() -> Split:
    kept = table(120, seed=1)
    return Split(dataclasses.replace(table(80, seed=2), blocks=np.full(80, 2)), kept=kept)


def test_every_change_is_checked() -> None:
    assert set(plugs.names("updates")) <= set(KINDS)
    assert len(plugs.names("updates")) >= 9


@pytest.mark.parametrize("name", plugs.names("updates"))
@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_law(law: laws.Law, name: str) -> None:
    law(plugs.function("updates", name), parent(KINDS[name]), split())


def trains_the_parent(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    """It moves the parent itself."""
    parents[0].obj.coef_ += 1
    return parents[0]


def rolls_dice(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    output = dataclasses.replace(parents[0].output, temperature=float(np.random.default_rng().uniform(1, 2)))
    return dataclasses.replace(parents[0], output=output)


def fails_without_kept(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    if data.kept is None:
        raise BadData("no.")
    return parents[0]


def trains_on_watched(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    rows = data.new if data.tuning is None else data.tuning
    return parents[0].fitted(rows, ctx.training(parents[0], None), fresh=True)


def forgets_the_contract(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    return dataclasses.replace(parents[0], contract=dataclasses.replace(parents[0].contract, notes=("other",)))


def has_no_words(parents: Sequence[Model], data: Split, ctx: Context, /, *, depth: int | None = 3) -> Model:
    return parents[0]


BROKEN: list[tuple[laws.Law, Any]] = [
    (laws.parents_are_untouched, trains_the_parent),
    (laws.same_seed_same_bits, rolls_dice),
    (laws.tuning_rows_are_never_trained_on, trains_on_watched),
    (laws.the_contract_is_kept, forgets_the_contract),
    (laws.settings_stand_in_the_signature, has_no_words),
]


@pytest.mark.parametrize(("law", "change"), BROKEN)
def test_a_law_catches_a_change_that_breaks_it(law: laws.Law, change: Any) -> None:
    with pytest.raises(AssertionError, match=law.__name__):
        law(change, parent("sklearn"), split())


def test_another_error_than_no_data_is_not_hidden() -> None:
    with pytest.raises(BadData):
        laws.works_without_kept_rows_or_says_so(fails_without_kept, parent("sklearn"), split())


def test_every_law_has_a_change_that_breaks_it() -> None:
    assert {law for law, _ in BROKEN} | {laws.works_without_kept_rows_or_says_so} == set(laws.LAWS)
