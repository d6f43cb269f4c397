"""Every kind of store passes the checks; each check catches a store that breaks it."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from evermodel.core.errors import Moved
from evermodel.core.records.event import Adopted
from evermodel.core.store import STORES
from evermodel.plugins.stores.sql import SqlStore, sql
from evermodel.testing import stores as checks


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_store_passes(check, setup, tmp_path):
    sql(tmp_path / "registry", setup=setup)
    check(lambda: sql(tmp_path / "registry", setup=setup))


class Renumbers(SqlStore):
    def add_version(self, staged, card):
        return dataclasses.replace(super().add_version(staged, card), version="v1")


class Overwrites(SqlStore):
    def add_version(self, staged, card):
        card = super().add_version(staged, card)
        for at in (self.registry / "versions" / card.name).glob("*"):
            if at.name != card.version:
                shutil.rmtree(at)
                shutil.copytree(self.registry / "versions" / card.name / card.version, at)
        return card

    def version_folder(self, name, version):
        return self.registry / "versions" / name / version


class Forgives(SqlStore):
    def commit_moves(self, name, moves, events):
        moves = [dataclasses.replace(m, expect=self.resolve_alias(name, m.alias)) for m in moves]
        super().commit_moves(name, moves, events)


class HalfMoves(SqlStore):
    def commit_moves(self, name, moves, events):
        for move in moves:
            super().commit_moves(name, [move], [])
        super().commit_moves(name, [], events)


class RacesAndSaysNothing(SqlStore):
    def commit_moves(self, name, moves, events):
        try:
            super().commit_moves(name, moves, events)
        except Moved:
            super().commit_moves(name, [], events)


class Reverses(SqlStore):
    def read_events(self, name=None):
        return super().read_events(name)[::-1]


class LosesData(SqlStore):
    def read_events(self, name=None):
        return [dataclasses.replace(e, data=Adopted("v1")) for e in super().read_events(name)]


class Forgets(SqlStore):
    def delete_blob(self, digest):
        pass


class Guesses(SqlStore):
    def read_card(self, name, version):
        return self.list_cards("m")[-1]


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (checks.check_versions_never_change, Overwrites),
        (checks.check_concurrent_writers_get_numbers_of_their_own, Renumbers),
        (checks.check_stale_expectation_moves_nothing, HalfMoves),
        (checks.check_stale_expectation_moves_nothing, Forgives),
        (checks.check_one_of_many_movers_wins, RacesAndSaysNothing),
        (checks.check_events_keep_their_order, Reverses),
        (checks.check_events_keep_their_order, LosesData),
        (checks.check_blobs_are_named_by_their_bytes, Forgets),
        (checks.check_unknown_names_are_refused, Guesses),
    ],
)
def test_each_check_catches_the_store_that_breaks_it(check, broken, tmp_path):
    from evermodel.plugins.stores._sql.setup import Setup

    with pytest.raises(AssertionError):
        check(lambda: broken(tmp_path / "registry", Setup()))


def test_no_check_lacks_a_broken_store():
    marks = test_each_check_catches_the_store_that_breaks_it.pytestmark
    assert {check for check, _ in marks[0].args[1]} == set(checks.CHECKS)


def test_check_store_runs_them_all(tmp_path):
    module = STORES.load_module("sql")
    assert checks.check_store(module, lambda folder: str(folder / "registry")) > len(checks.CHECKS)
