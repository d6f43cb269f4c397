"""The checks of testing/tuners.py: every tuner passes them all, and each catches one that breaks it."""

from __future__ import annotations

import random

import pytest

from evermodel.core.model.trials import TUNERS
from evermodel.testing import tuners as checks
from evermodel.testing.check_runner import run_checks

LEAST = 3  # tuners of our own


def test_every_tuner_is_found() -> None:
    assert len(TUNERS.names()) >= LEAST


@pytest.mark.parametrize("name", TUNERS.names())
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_tuner_passes(check, name: str) -> None:
    run_checks([check], "tuner", name, TUNERS.load(name))


def deaf(search) -> None:
    for values in search.space.points(3):
        search.run(values)


def outside(search) -> None:
    while not search.over():
        search.run({"rate": 7.0, "width": 1, "kind": "b"})


def moody(search) -> None:
    dice = random.Random()
    while not search.over():
        search.run(dice.choice(search.space.points(5)))


def lazy(search) -> None:
    while not search.over():
        search.run({"rate": 1.0, "width": 9, "kind": "a"})


def untyped(search, /, *, points=3) -> None:
    """Without a type for its setting."""


BROKEN = [
    (checks.check_settings_are_typed, untyped),
    (checks.check_docstring, untyped),
    (checks.check_ends_with_the_search, deaf),
    (checks.check_points_are_in_the_space, outside),
    (checks.check_same_seed_same_trials, moody),
    (checks.check_finds_the_top_of_an_easy_hill, lazy),
]


@pytest.mark.parametrize(("check", "broken"), BROKEN)
def test_each_check_catches_the_tuner_that_breaks_it(check, broken) -> None:
    with pytest.raises(AssertionError, match=check.__name__):
        run_checks([check], "tuner", broken.__name__, broken)


def test_every_check_is_shown_to_catch_something() -> None:
    assert {check for check, _ in BROKEN} == set(checks.CHECKS)
