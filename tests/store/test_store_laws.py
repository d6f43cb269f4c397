"""Every kind of store obeys the laws; each law catches a store that breaks it."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from evermodel.core.errors import Moved
from evermodel.laws import stores as laws
from evermodel.stores.sql import SqlStore, sql


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_the_store_obeys(law, setup, tmp_path):
    sql(tmp_path / "home", setup=setup)
    law(lambda: sql(tmp_path / "home", setup=setup))


class Renumbers(SqlStore):
    def put(self, staged, card):
        return dataclasses.replace(super().put(staged, card), version="v1")


class Overwrites(SqlStore):
    def put(self, staged, card):
        card = super().put(staged, card)
        for at in (self.home / "versions" / card.name).glob("*"):
            if at.name != card.version:
                shutil.rmtree(at)
                shutil.copytree(self.home / "versions" / card.name / card.version, at)
        return card

    def get(self, name, version):
        return self.home / "versions" / name / version


class Forgives(SqlStore):
    def point(self, name, moves, events):
        moves = [dataclasses.replace(m, expect=self.at(name, m.alias)) for m in moves]
        super().point(name, moves, events)


class HalfMoves(SqlStore):
    def point(self, name, moves, events):
        for move in moves:
            super().point(name, [move], [])
        super().point(name, [], events)


class RacesAndSaysNothing(SqlStore):
    def point(self, name, moves, events):
        try:
            super().point(name, moves, events)
        except Moved:
            super().point(name, [], events)


class Reverses(SqlStore):
    def log(self, name=None):
        return super().log(name)[::-1]


class Forgets(SqlStore):
    def discard(self, digest):
        pass


class Guesses(SqlStore):
    def card(self, name, version):
        return self.cards("m")[-1]


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (laws.versions_are_numbered_and_never_change, Overwrites),
        (laws.of_many_writers_each_has_its_number, Renumbers),
        (laws.a_stale_expectation_moves_nothing, HalfMoves),
        (laws.a_stale_expectation_moves_nothing, Forgives),
        (laws.of_many_who_move_a_name_one_wins, RacesAndSaysNothing),
        (laws.events_keep_their_order, Reverses),
        (laws.blobs_are_named_by_their_bytes, Forgets),
        (laws.what_is_unknown_is_said, Guesses),
    ],
)
def test_each_law_catches_the_store_that_breaks_it(law, broken, tmp_path):
    from evermodel.stores._sql.setup import Setup

    with pytest.raises(AssertionError):
        law(lambda: broken(tmp_path / "home", Setup()))


def test_no_law_lacks_a_broken_store():
    marks = test_each_law_catches_the_store_that_breaks_it.pytestmark
    assert {law for law, _ in marks[0].args[1]} == set(laws.LAWS)
