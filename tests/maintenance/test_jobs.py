"""The checks of jobs on SQLite and PostgreSQL, and stores that they catch."""

from __future__ import annotations

import pytest

from evermodel.plugins.stores._sql import jobs as handed
from evermodel.plugins.stores._sql.setup import Setup
from evermodel.plugins.stores.sql import SqlStore
from evermodel.testing.jobs import CHECKS, check_effect_and_end_are_one, check_late_worker_is_refused


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request, tmp_path):
    url = request.getfixturevalue("postgres").fresh() if request.param == "postgresql" else ""
    return lambda: SqlStore(tmp_path / "registry", Setup(url))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_store_passes(check, opened):
    check(opened)


def test_a_store_that_forgets_the_fence_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(handed, "change_held_job", lambda db, job, **values: None)
    with pytest.raises(AssertionError):
        check_late_worker_is_refused(lambda: SqlStore(tmp_path / "registry", Setup("")))


def test_a_store_that_ends_a_job_apart_from_its_effect_is_caught(tmp_path):
    class Apart(SqlStore):
        def commit_moves(self, name, moves, events, done=None):
            if done is not None:
                super().commit_moves(name, [], [], done)
            super().commit_moves(name, moves, events)

    with pytest.raises(AssertionError):
        check_effect_and_end_are_one(lambda: Apart(tmp_path / "registry", Setup("")))
