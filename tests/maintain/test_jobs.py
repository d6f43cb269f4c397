"""The laws of jobs on SQLite and PostgreSQL; each catches a store that breaks it."""

from __future__ import annotations

import pytest

from evermodel.laws.jobs import LAWS, an_effect_and_the_end_are_one, whoever_wakes_up_late_is_refused
from evermodel.stores._sql import jobs as handed
from evermodel.stores._sql.setup import Setup
from evermodel.stores.sql import SqlStore


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request, tmp_path):
    url = request.getfixturevalue("postgres").fresh() if request.param == "postgresql" else ""
    return lambda: SqlStore(tmp_path / "home", Setup(url))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_law_holds(law, opened):
    law(opened)


def test_a_store_that_forgets_the_fence_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(handed, "held", lambda db, job, **values: None)
    with pytest.raises(AssertionError):
        whoever_wakes_up_late_is_refused(lambda: SqlStore(tmp_path / "home", Setup("")))


def test_a_store_that_ends_a_job_apart_from_its_effect_is_caught(tmp_path):
    class Apart(SqlStore):
        def point(self, name, moves, events, done=None):
            if done is not None:
                super().point(name, [], [], done)
            super().point(name, moves, events)

    with pytest.raises(AssertionError):
        an_effect_and_the_end_are_one(lambda: Apart(tmp_path / "home", Setup("")))
