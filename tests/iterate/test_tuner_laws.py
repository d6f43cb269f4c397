"""The laws of laws/tuners.py, on every tuner there is; and on tuners that break one law each."""

from __future__ import annotations

import random

import pytest

from evermodel.core import plugs
from evermodel.laws import tuners as laws

LEAST = 3  # tuners of our own


def test_every_tuner_is_found() -> None:
    assert len(plugs.names("tuners")) >= LEAST


@pytest.mark.parametrize("name", plugs.names("tuners"))
@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_law(law, name: str) -> None:
    law(plugs.function("tuners", name))


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


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (laws.it_ends_when_the_search_is_over, deaf),
        (laws.every_point_is_of_the_space, outside),
        (laws.same_seed_same_trials, moody),
        (laws.it_climbs_an_easy_hill, lazy),
    ],
)
def test_each_law_catches_the_tuner_that_breaks_it(law, broken) -> None:
    with pytest.raises(AssertionError, match=law.__name__):
        law(broken)
