"""The laws of laws/fusers.py, on every fuser there is; and on fusers that break one law each."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from evermodel.core import plugs
from evermodel.laws import fusers as laws
from tests.iterate.fusing import family, split, untrained

LEAST = 9  # fusers of our own
_family = functools.cache(family)


def test_every_fuser_is_found() -> None:
    assert len(plugs.names("fusers")) >= LEAST


@pytest.mark.parametrize("name", plugs.names("fusers"))
@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_law(law, name: str) -> None:
    parents = _family()
    law(plugs.function("fusers", name), parents[1:] if name == "slerp" else parents, split())


def spoils(parents, data, ctx):
    for key in parents[0].obj.trainable:
        parents[0].obj.tensors[key].mul_(1.01)
    return parents[1]


def moody(parents, data, ctx):
    return parents[np.random.default_rng().integers(len(parents))]


def narrows(parents, data, ctx):
    contract = dataclasses.replace(parents[0].contract, classes=parents[0].contract.classes[:2])
    return dataclasses.replace(parents[0], contract=contract)


def forgets(parents, data, ctx):
    return untrained(99)


def content(parents, data, ctx):
    return parents[0]


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (laws.parents_are_untouched, spoils),
        (laws.same_seed_same_bits, moody),
        (laws.the_contract_is_kept, narrows),
        (laws.it_is_no_worse_than_its_worst_member, forgets),
        (laws.one_model_is_not_enough, content),
    ],
)
def test_each_law_catches_the_fuser_that_breaks_it(law, broken) -> None:
    parents = family()
    with pytest.raises(AssertionError, match=law.__name__):
        for _ in range(12):  # a moody one may be lucky
            law(broken, parents, split())


def test_the_members_of_the_laws_are_worth_fusing() -> None:
    score = laws.scorer(_family()[0], split().tuning)
    assert min(map(score, _family())) > 0.8
    assert score(untrained(99)) < 0.7
