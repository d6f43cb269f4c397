"""The laws of laws/pruners.py, on every pruner there is and each kind of model it prunes; and on broken ones."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from evermodel.core import plugs
from evermodel.core.change import Context
from evermodel.core.errors import AskedWrongly
from evermodel.laws import pruners as laws
from tests.iterate.fusing import split, untrained
from tests.iterate.pruning import parent

PRUNED = [
    ("channels", "keras"), ("channels", "torch"), ("trees", "lightgbm"), ("trees", "xgboost"), ("trees", "histograms"),
    ("magnitude", "keras"), ("magnitude", "torch"), ("magnitude", "linear"), ("quantise", "keras"),
]  # fmt: skip
OTHERS = [law for law in laws.LAWS if law is not laws.it_still_does_its_work]
WITHOUT_WORK = {"magnitude"}  # half of the weights of so small a network are too many without training


def test_every_pruner_is_found():
    assert set(plugs.names("pruners")) >= {"channels", "trees", "features", "magnitude", "quantise"}


@pytest.mark.parametrize(("name", "kind"), PRUNED)
@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_law(law, name, kind):
    if law is laws.it_still_does_its_work and name in WITHOUT_WORK:
        law(functools.partial(_gently, plugs.function("pruners", name)), parent(kind), split())
        return
    law(plugs.function("pruners", name), parent(kind), split())


def _gently(pruner, parents, data, ctx, /, *, ratio):
    return pruner(parents, data, ctx, ratio=0.3 * ratio)


@pytest.mark.parametrize("law", OTHERS, ids=lambda x: x.__name__)
@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "linear"])
def test_law_of_features(law, kind):  # both of the two columns are needed here: test_pruners.py has useless ones
    law(plugs.function("pruners", "features"), parent(kind), split())


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


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (laws.the_parent_is_untouched, spoils),
        (laws.same_seed_same_bits, moody),
        (laws.the_contract_is_kept, narrows),
        (laws.there_is_less_of_it, idle),
        (laws.it_still_does_its_work, forgets),
        (laws.it_reloads_as_an_ordinary_model, another),
    ],
)
def test_each_law_catches_the_pruner_that_breaks_it(law, broken):
    own = parent("torch")
    tensors = {k: v.clone() for k, v in own.obj.tensors.items()}
    own = dataclasses.replace(own, obj=dataclasses.replace(own.obj, tensors=tensors))
    with pytest.raises(AssertionError, match=law.__name__):
        law(broken, own, split())


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
        plugs.function("pruners", name)([parent(kind)], split(), Context(seed=1), ratio=0.5)
