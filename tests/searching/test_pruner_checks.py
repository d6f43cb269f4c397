"""The checks of testing/pruners.py, on every pruner and each kind of model it prunes; each catches a broken one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pytest

from evermodel.core.errors import AskedWrongly
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import PRUNERS, Context, Split
from evermodel.testing import pruners as checks
from evermodel.testing.check_runner import run_checks
from tests.searching.fusing import split, untrained
from tests.searching.pruning import parent

PRUNED = [
    ("channels", "keras"),
    ("channels", "torch"),
    ("trees", "lightgbm"),
    ("trees", "xgboost"),
    ("trees", "histograms"),
    ("magnitude", "keras"),
    ("magnitude", "torch"),
    ("magnitude", "linear"),
    ("quantise", "keras"),
]
OTHERS = [check for check in checks.CHECKS if check is not checks.check_model_still_works]
WITHOUT_WORK = {"magnitude"}  # half of the weights of so small a network are too many without training


def test_every_pruner_is_found():
    assert set(PRUNERS.names()) >= {"channels", "trees", "features", "magnitude", "quantise"}


@pytest.mark.parametrize(("name", "kind"), PRUNED)
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_pruner_passes(check, name, kind):
    pruner = PRUNERS.load(name)
    if check is checks.check_model_still_works and name in WITHOUT_WORK:
        pruner = functools.partial(_gently, pruner)
    run_checks([check], "pruner", name, pruner, parent(kind), split())


def _gently(pruner, parents, data, ctx, /, *, ratio):
    return pruner(parents, data, ctx, ratio=0.3 * ratio)


@pytest.mark.parametrize("check", OTHERS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "linear"])
def test_features_passes(check, kind):  # both of the two columns are needed here: test_pruners.py has useless ones
    run_checks([check], "pruner", "features", PRUNERS.load("features"), parent(kind), split())


def spoils(parents, data, ctx, *, ratio):
    for key in parents[0].obj.trainable:
        parents[0].obj.tensors[key].mul_(1.01)
    return parents[0]


def moody(parents, data, ctx, *, ratio):
    return untrained(int(np.random.default_rng().integers(10**6)))


def narrows(parents, data, ctx, *, ratio):
    contract = dataclasses.replace(parents[0].contract, classes=parents[0].contract.classes[:2])
    return dataclasses.replace(parents[0], contract=contract)


def idle(parents, data, ctx, *, ratio):
    return parents[0]


def forgets(parents, data, ctx, *, ratio):
    return untrained(99)


def another(parents, data, ctx, *, ratio):
    return parent("lightgbm")


def fixed(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    """It has no setting ``ratio``."""
    return parents[0]


BROKEN = [
    (checks.check_settings_are_typed, fixed),
    (checks.check_docstring, fixed),
    (checks.check_parent_is_not_changed, spoils),
    (checks.check_same_seed_same_model, moody),
    (checks.check_contract_is_kept, narrows),
    (checks.check_model_is_smaller, idle),
    (checks.check_model_still_works, forgets),
    (checks.check_reloads_as_an_ordinary_model, another),
]


@pytest.mark.parametrize(("check", "broken"), BROKEN)
def test_each_check_catches_the_pruner_that_breaks_it(check, broken):
    own = parent("torch")
    tensors = {k: v.clone() for k, v in own.obj.tensors.items()}
    own = dataclasses.replace(own, obj=dataclasses.replace(own.obj, tensors=tensors))
    with pytest.raises(AssertionError, match=check.__name__):
        run_checks([check], "pruner", broken.__name__, broken, own, split())


def test_every_check_is_shown_to_catch_something():
    assert {check for check, _ in BROKEN} == set(checks.CHECKS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("channels", "lightgbm"),
        ("trees", "keras"),
        ("trees", "linear"),
        ("features", "keras"),
        ("magnitude", "lightgbm"),
        ("quantise", "lightgbm"),
        ("quantise", "torch"),
    ],
)
def test_what_a_pruner_cannot_prune_is_refused(name, kind):
    with pytest.raises(AskedWrongly):
        PRUNERS.load(name)([parent(kind)], split(), Context(seed=1), ratio=0.5)
