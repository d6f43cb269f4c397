"""``evermodel update FILE ROWS``: adoption and update in one command, composed of the two."""

from __future__ import annotations

import json

import pytest

from evermodel.registry.lookup import open_store
from tests.cli.ground import ask
from tests.updating.conftest import booster, rows

__all__ = ["booster"]


@pytest.fixture
def put(tmp_path):
    """Writes rows into a CSV file of their own."""

    def write(n: int, seed: int, angle: float = 1.0) -> str:
        at = tmp_path / f"{seed}.csv"
        rows(n, seed, angle=angle).write_csv(at)
        return str(at)

    return write


def test_a_model_file_is_adopted_updated_and_written_back(booster, tmp_path, put):
    registry, updated = tmp_path / "registry", tmp_path / "updated.txt"
    command = ["update", str(booster), put(3000, 3), "--target", "y", "--time", "when"]
    first = ask([*command, "--to", str(updated), "--json"], registry)
    assert first.code == 0, first.err
    done = json.loads(first.out)
    assert (done["name"], done["champion"], done["in_service"]) == ("existing_model", "v1", "v2")
    assert updated.exists()
    assert done["saved"] == str(updated)
    store = open_store(registry)
    assert store.read_card("existing_model", "v1").reference_is_stand_in
    assert done["data"]["rows"] == 1800, "the oldest 40 % are the reference rows"

    again = ask(["update", str(booster), put(800, 4), "--target", "y", "--time", "when", "--json"], registry)
    assert json.loads(again.out)["champion"] == "v2", "the file is known: it is not adopted twice"


def test_with_reference_rows_all_new_rows_update(booster, tmp_path, put):
    command = ["update", str(booster), put(900, 3), "--target", "y", "--time", "when", "--data", put(2000, 2, 0.0)]
    answer = ask([*command, "--name", "named", "--json"], tmp_path / "registry")
    assert (json.loads(answer.out)["name"], json.loads(answer.out)["data"]["rows"]) == ("named", 900)


def test_a_dry_run_adopts_nothing(booster, tmp_path, put):
    registry = tmp_path / "registry"
    answer = ask(["update", str(booster), put(3000, 3), "--target", "y", "--time", "when", "--dry-run"], registry)
    assert answer.code == 0, answer.err
    assert open_store(registry).list_models() == []


def test_what_cannot_be_written_is_refused_before_anything_is_adopted(booster, tmp_path, put):
    registry = tmp_path / "registry"
    answer = ask(["update", str(booster), put(3000, 3), "--target", "y", "--to", str(tmp_path / "x.h5")], registry)
    assert (answer.code, "must end in" in answer.err) == (2, True)
    assert open_store(registry).list_models() == []


def test_a_file_needs_a_target_and_a_name_takes_no_options_of_adoption(booster, tmp_path, put):
    registry = tmp_path / "registry"
    answer = ask(["update", str(booster), put(300, 3)], registry)
    assert (answer.code, "--target" in answer.err) == (2, True)
    answer = ask(["update", "churn", put(300, 3), "--target", "y"], registry)
    assert (answer.code, "--target is for a model file" in answer.err) == (2, True)


def test_another_model_of_that_name_is_not_overwritten(booster, tmp_path, put):
    registry, other = tmp_path / "registry", tmp_path / "other.txt"
    ask(["adopt", str(booster), "--data", put(2000, 2, 0.0), "--target", "y", "--time", "when"], registry)
    other.write_text(booster.read_text() + "\n")
    answer = ask(["update", str(other), put(900, 3), "--target", "y", "--name", "existing_model"], registry)
    assert (answer.code, "not adopted from this file" in answer.err) == (2, True)
