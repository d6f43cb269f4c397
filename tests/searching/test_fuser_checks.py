"""The checks of testing/fusers.py: every fuser passes them all, and each catches one that breaks it."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from evermodel.core.model.strategy import FUSERS
from evermodel.testing import fusers as checks
from evermodel.testing.check_runner import run_checks
from tests.searching.fusing import family, split, untrained

LEAST = 9  # fusers of our own
_family = functools.cache(family)


def test_every_fuser_is_found() -> None:
    assert len(FUSERS.names()) >= LEAST


@pytest.mark.parametrize("name", FUSERS.names())
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_fuser_passes(check, name: str) -> None:
    parents = _family()
    run_checks([check], "fuser", name, FUSERS.load(name), parents[1:] if name == "slerp" else parents, split())


def spoils(parents, data, ctx, /):
    for key in parents[0].obj.trainable:
        parents[0].obj.tensors[key].mul_(1.01)
    return parents[1]


def moody(parents, data, ctx, /):
    return parents[np.random.default_rng().integers(len(parents))]


def narrows(parents, data, ctx, /):
    contract = dataclasses.replace(parents[0].contract, classes=parents[0].contract.classes[:2])
    return dataclasses.replace(parents[0], contract=contract)


def forgets(parents, data, ctx, /):
    return untrained(99)


def content(parents, data, ctx, /):
    return parents[0]


def untyped(parents, data, ctx, /, *, share=0.5):
    return parents[0]


BROKEN = [
    (checks.check_settings_are_typed, untyped),
    (checks.check_docstring, content),
    (checks.check_parents_are_not_changed, spoils),
    (checks.check_same_seed_same_model, moody),
    (checks.check_contract_is_kept, narrows),
    (checks.check_no_worse_than_the_worst_member, forgets),
    (checks.check_one_model_is_refused, content),
]


@pytest.mark.parametrize(("check", "broken"), BROKEN)
def test_each_check_catches_the_fuser_that_breaks_it(check, broken) -> None:
    parents = family()
    with pytest.raises(AssertionError, match=check.__name__):
        for _ in range(12):  # a moody one may be lucky
            run_checks([check], "fuser", broken.__name__, broken, parents, split())


def test_every_check_is_shown_to_catch_something() -> None:
    assert {check for check, _ in BROKEN} == set(checks.CHECKS)


def test_the_members_of_the_checks_are_worth_fusing() -> None:
    score = checks.build_scorer(_family()[0], split().tuning_rows)
    assert min(map(score, _family())) > 0.8
    assert score(untrained(99)) < 0.7
