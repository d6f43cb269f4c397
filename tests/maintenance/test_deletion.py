"""A person's rows are gone from everywhere a registry keeps rows, whenever the deletion is cut short."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evermodel
from evermodel.core.data.logged_predictions import LABELS, OPEN, PREDICTION_ID, ROWS
from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.records.event import Decided, EventKind, HeldEvidence, RowsDeleted
from evermodel.maintenance.deletion import delete_rows
from evermodel.maintenance.deletion.logged_rows import (
    await_sealed,
    find_predictions,
    list_logs,
    put_in_place,
    stage_files,
)
from evermodel.maintenance.deletion.row_match import RowMatch
from evermodel.monitoring.monitor_state import read_state
from evermodel.registry.lookup import event, open_store
from evermodel.registry.predictions.log_segments import SUFFIX
from evermodel.registry.predictions.seal_segments import create_log
from evermodel.registry.row_memory import read_memory, write_rows
from tests.cli.ground import ask
from tests.updating.conftest import rows

PERSON, OTHER = "c7", "c70"


def with_customers(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(customer=pl.format("c{}", pl.int_range(frame.height) % 100))


@pytest.fixture(scope="module")
def booster(tmp_path_factory) -> Path:
    import lightgbm

    frame, file = rows(3000, 1), tmp_path_factory.mktemp("booster") / "model.txt"
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), codes])
    learned = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "deterministic": True}
    lightgbm.train(learned, lightgbm.Dataset(x, frame["y"].to_numpy()), 20).save_model(file)
    return file


@pytest.fixture(scope="module")
def full(booster, tmp_path_factory) -> Path:
    """A registry in which the person's rows are everywhere: remembered, logged, labelled, watched, held as evidence."""
    registry = tmp_path_factory.mktemp("deletion") / "registry"
    roles = {"target": "y", "name": "m", "time": "when", "entity": "customer"}
    evermodel.adopt(booster, data=with_customers(rows(2000, 2)), registry=registry, **roles)
    sent = with_customers(rows(1500, 40, angle=1.5))
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        answer = client.post("/invocations", json={"dataframe_records": sent.drop("y").to_dicts()}).json()
    ids = [f"{answer['prediction_id']}-{row}" for row in range(sent.height)]
    evermodel.label("m", pl.DataFrame({PREDICTION_ID: ids, "y": sent["y"]}), registry=registry)
    evermodel.watch("m", registry=registry)
    log = registry / "predictions" / "m"
    evermodel.update("m", log, registry=registry, strategy="refit")
    store = open_store(registry)
    held = HeldEvidence(write_rows(store, sent), "log_loss")
    store.commit_moves("m", [], [event("m", EventKind.HELD, Decided("v2", "v1", held=held))])
    return registry


@pytest.fixture
def registry(full, tmp_path) -> Path:
    return Path(shutil.copytree(full, tmp_path / "registry"))


def find_traces(registry: Path, person: str, ids: frozenset[str] = frozenset()) -> list[str]:
    """Every Parquet file below the registry that holds the person, or a prediction of theirs."""
    found = []
    for file in sorted(p for p in registry.rglob("*") if p.is_file()):
        if file.read_bytes()[:4] != b"PAR1":
            continue
        frame = pl.read_parquet(file, glob=False)
        for column in frame.select(pl.col(pl.String)).columns:
            values = frame[column].drop_nulls()
            if (values.str.split("|").list.first() == person).any() or values.is_in(list(ids)).any():
                found.append(f"{file.relative_to(registry)}: {column}")
                break
    return found


def ids_of(registry: Path, person: str) -> frozenset[str]:
    logs = list_logs(registry / "predictions" / "m")
    return find_predictions(logs, RowMatch("customer", person, True)).ids


def test_the_person_is_gone_from_everywhere_and_others_stay(registry):
    ids, others = ids_of(registry, PERSON), find_traces(registry, OTHER)
    before = find_traces(registry, PERSON, ids)
    assert {part.split("/")[0] for part in before} == {"blobs", "predictions"}
    assert any("/labels/" in part for part in before)
    result = evermodel.delete("m", column="customer", value=PERSON, grace=0.0, registry=registry)
    assert find_traces(registry, PERSON, ids) == []
    assert result.rows == {
        "logged": 15,
        "labels": 15,
        "remembered": 35,  # 20 of the reference rows, 15 that were updated with
        "evidence": 15,
        "delivered": 0,
        "watched": 15,
    }
    assert len(find_traces(registry, OTHER)) == len(others) - 1  # a file of the monitor that nothing points at went
    assert result.versions == ("v1", "v2")
    store = open_store(registry)
    state, _ = read_state(store, "m")
    assert state is not None
    assert sum(part.rows for part in state.stored_rows) == 1500 - 15
    assert sum(part.labelled for part in state.stored_rows) == 1500 - 15
    memory = read_memory(store, "m")
    assert sum(block.n_rows + block.n_past for block in memory.blocks) == 3500 - 35
    (told,) = [e.data for e in store.read_events("m") if isinstance(e.data, RowsDeleted)]
    assert PERSON not in str({**told.rows, "column": told.column})
    assert (told.column, told.versions, sum(told.rows.values())) == ("customer", ("v1", "v2"), result.total)


def test_what_comes_next_works_without_the_rows(registry):
    evermodel.delete("m", column="customer", value=PERSON, registry=registry)
    assert evermodel.doctor(registry=registry).healthy
    before, _ = read_state(open_store(registry), "m")
    evermodel.watch("m", registry=registry)  # the files of the log are known, though they are others now
    after, _ = read_state(open_store(registry), "m")
    assert before is not None and after is not None
    watched = [{w.key: (w.rows, w.labelled) for w in state.watched["v1"].windows.values()} for state in (before, after)]
    assert watched[0] == watched[1]
    assert sum(rows for rows, _ in watched[1].values()) == 1500  # counts by window stay
    result = evermodel.update("m", with_customers(rows(1500, 60, angle=1.5)), registry=registry, strategy="refit")
    assert result.challenger
    gone = evermodel.delete("m", column="customer", value=PERSON, registry=registry)
    assert gone.rows["remembered"] == 15  # those that came again


def test_the_rows_that_held_a_challenger_are_replaced(registry):
    from evermodel.updating.verdicts import reanalysis

    evermodel.delete("m", column="customer", value=PERSON, registry=registry)
    store = open_store(registry)
    log = store.read_events("m")
    held = reanalysis._find_held(log, "v1")
    assert held is not None and held.held is not None  # a deletion decides nothing: it waits on
    from evermodel.core.records.event import replace_evidence

    blob = replace_evidence(log, held.held.rows)
    assert pl.read_parquet(store.get_blob(blob)).height == 1500 - 15
    evermodel.gc(grace=0.0, registry=registry)
    assert pl.read_parquet(store.get_blob(blob)).height == 1500 - 15


@pytest.mark.parametrize("killed_in", ["commit_moves", "_remove_blobs", "put_in_place", "after one file"])
def test_a_deletion_that_was_killed_is_finished_by_the_next(registry, monkeypatch, killed_in):
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    ids = ids_of(registry, PERSON)
    with monkeypatch.context() as patch:
        if killed_in == "commit_moves":
            patch.setattr(type(open_store(registry)), "commit_moves", kill)
        elif killed_in == "after one file":
            patch.setattr(delete_rows, "put_in_place", lambda files: (put_in_place(files[:1]), kill()))
        else:
            patch.setattr(delete_rows, killed_in, kill)
            if killed_in == "_remove_blobs":
                patch.setattr(delete_rows, "_finish_former", lambda *_: None)
        with pytest.raises(Killed):
            evermodel.delete("m", column="customer", value=PERSON, grace=0.0, registry=registry)
    assert find_traces(registry, PERSON, ids)
    evermodel.delete("m", column="customer", value=PERSON, grace=0.0, registry=registry)
    assert find_traces(registry, PERSON, ids) == []
    assert not list((registry / "predictions").rglob(".deleting-*"))


def test_a_row_is_found_by_its_own_id_too(registry):
    (one, *_) = sorted(ids_of(registry, PERSON))
    result = evermodel.delete("m", column=PREDICTION_ID, value=one, registry=registry)
    assert {place: n for place, n in result.rows.items() if n} == {"logged": 1, "labels": 1, "watched": 1}
    assert result.untold == 3500  # what is remembered has no such column, and that is said
    assert "cannot be told apart" in str(result)


def test_a_young_file_that_nothing_points_at_is_told(registry):
    result = evermodel.delete("m", column="customer", value=PERSON, registry=registry)
    assert result.young == len(find_traces(registry, PERSON)) > 0
    assert "run it again in an hour" in str(result)
    assert evermodel.delete("m", column="customer", value=PERSON, grace=0.0, registry=registry).young == 0
    assert find_traces(registry, PERSON) == []


def test_a_dry_run_changes_nothing(registry):
    def read() -> dict[str, bytes]:
        return {str(p.relative_to(registry)): p.read_bytes() for p in registry.rglob("*.parquet")}

    before = read()
    result = evermodel.delete("m", column="customer", value=PERSON, dry_run=True, registry=registry)
    assert (result.total, result.dry_run, read() == before) == (95, True, True)
    assert find_traces(registry, PERSON)
    assert evermodel.delete("m", column="customer", value=PERSON, registry=registry).total == 95


def test_the_command_says_what_it_did(registry):
    answer = ask(["delete", "m", "--entity", f"customer={PERSON}"], registry)
    assert answer.code == 0
    assert answer.out.startswith("deleted 95 rows of one customer of m: 15 logged, 15 labels, 35 remembered")
    assert "v1, v2" in answer.out
    assert PERSON not in answer.out
    assert "deleted 0 rows" in ask(["delete", "m", "--entity", f"customer={PERSON}"], registry).out
    for wrong in ("customer", "customer=", "=c7"):
        refused = ask(["delete", "m", "--entity", wrong], registry)
        assert (refused.code, "COLUMN" in refused.err or "column and a value" in refused.err) == (2, True)
    with pytest.raises(NotFound):
        evermodel.delete("other", column="customer", value="c1", registry=registry)
    with pytest.raises(BadSetting):
        evermodel.delete("m", column="customer", value=" ", registry=registry)


def test_rows_that_another_model_remembers_too_stay_there(full, booster, tmp_path):
    registry = Path(shutil.copytree(full, tmp_path / "registry"))
    roles = {"target": "y", "time": "when", "entity": "customer"}
    evermodel.adopt(booster, data=with_customers(rows(2000, 2)), name="twin", registry=registry, **roles)
    evermodel.delete("m", column="customer", value=PERSON, grace=0.0, registry=registry)
    assert evermodel.doctor(registry=registry).healthy
    assert evermodel.delete("twin", column="customer", value=PERSON, registry=registry).rows["remembered"] == 20
    assert find_traces(registry, PERSON) == []


def test_what_a_server_still_writes_is_waited_for(registry):
    folder = registry / "predictions" / "m"
    segment = folder / OPEN / f"000000000000001-x-1{SUFFIX}"
    segment.touch()
    with segment.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)  # as its writer does
        with pytest.raises(AskedWrongly, match=r"Nothing was deleted"):
            await_sealed([folder], patience=0.3)
    await_sealed([folder], patience=0.3)
    assert not segment.exists()


VALUES = st.sampled_from(["c7", "c70", "7", " c7 ", None])
TABLE = st.lists(st.tuples(VALUES, st.floats(-5, 5), st.booleans()), max_size=12)


@settings(max_examples=40, deadline=None)
@given(files=st.lists(TABLE, min_size=1, max_size=4))
def test_of_any_log_the_other_rows_stay_as_they_are(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    create_log(folder, ["a"], [0, 1])
    whole, labels = [], []
    for number, table in enumerate(files):
        frame = pl.DataFrame(
            {
                PREDICTION_ID: pl.Series([f"{number}-{row}" for row in range(len(table))], dtype=pl.String),
                "customer": pl.Series([one for one, _, _ in table], dtype=pl.String),
                "a": pl.Series([a for _, a, _ in table], dtype=pl.Float64),
            }
        )
        told = frame.filter(pl.Series([is_told for *_, is_told in table], dtype=pl.Boolean)).select(PREDICTION_ID)
        assert frame.schema == {PREDICTION_ID: pl.String, "customer": pl.String, "a": pl.Float64}
        frame.write_parquet(folder / ROWS / f"{number}-v1.parquet")
        told.with_columns(y=pl.lit(1)).write_parquet(folder / LABELS / f"{number}.parquet")
        whole.append(frame)
        labels.append(told)
    match = find_predictions([folder], RowMatch("customer", "c7", True))
    with stage_files([folder], match) as staged:
        put_in_place(staged)
    every, told = pl.concat(whole), pl.concat(labels)
    keep = every.filter((pl.col("customer").str.strip_chars() != "c7").fill_null(True))
    left = [pl.read_parquet(file) for file in sorted((folder / ROWS).iterdir())]
    assert pl.concat([every.clear(), *left]).equals(keep)
    known = [pl.read_parquet(file).select(PREDICTION_ID) for file in sorted((folder / LABELS).iterdir())]
    kept_ids = keep[PREDICTION_ID].to_list()
    assert pl.concat([told.clear(), *known]).equals(told.filter(pl.col(PREDICTION_ID).is_in(kept_ids)))
    assert not list(folder.glob(".deleting-*"))
    assert np.sum([f.rows for f in staged if not f.is_label]) == every.height - keep.height
