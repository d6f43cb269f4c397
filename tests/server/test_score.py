"""Batch scoring: every row once, in order, whatever interrupts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.registry.predictions import batch_scoring as scoring
from tests.cli.ground import ask
from tests.server.conftest import SOURCE, wait_for
from tests.updating.conftest import rows


@pytest.fixture
def many(tmp_path):
    """A Parquet file of 20,000 rows."""
    rows(20_000, 9).drop("y").write_parquet(tmp_path / "many.parquet", row_group_size=3_000)
    return tmp_path / "many.parquet"


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(scoring, "PART_ROWS", 1_000)
    batches = scoring.clean_in_batches
    monkeypatch.setattr(scoring, "clean_in_batches", lambda cleaned: batches(cleaned, rows=700))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_it_scores_as_predict_does(registry, many, tmp_path, suffix, small_parts):
    to = tmp_path / f"scored{suffix}"
    result = evermodel.score("m", many, to=to, registry=registry)
    assert (result.rows, result.resumed_rows, result.version) == (20_000, 0, "v1")
    read = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}[suffix]
    found, plain = read(to), evermodel.predict("m", many, registry=registry)
    assert found["row"].to_list() == list(range(20_000))
    assert found["prediction"].to_list() == plain["prediction"].to_list()
    assert (found["p_1"] - plain["p_1"]).abs().max() < 1e-6
    assert not list(tmp_path.glob(".*.parts"))


def test_it_goes_on_where_it_stopped_with_the_same_version(registry, many, tmp_path, small_parts, monkeypatch):
    write, count = scoring.write_whole, 0

    def stop_after_five(to, how):
        nonlocal count
        count += 1
        if count > 5:
            raise KeyboardInterrupt
        write(to, how)

    monkeypatch.setattr(scoring, "write_whole", stop_after_five)
    with pytest.raises(KeyboardInterrupt):
        evermodel.score("m", many, to=tmp_path / "scored.parquet", registry=registry)
    assert not (tmp_path / "scored.parquet").exists()
    monkeypatch.setattr(scoring, "write_whole", write)
    evermodel.promote("m", "v2", registry=registry)
    with pytest.raises(AskedWrongly, match="interrupted run"):
        evermodel.score("m", many, to=tmp_path / "scored.parquet", version="v2", registry=registry)
    result = evermodel.score("m", many, to=tmp_path / "scored.parquet", registry=registry)
    assert result.version == "v1"
    assert 5_000 <= result.resumed_rows < 20_000
    found = pl.read_parquet(tmp_path / "scored.parquet")
    assert found["row"].to_list() == list(range(20_000))
    plain = evermodel.predict("m", many, version="v1", registry=registry)
    assert found["p_1"].to_list() == plain["p_1"].to_list()
    assert evermodel.score("m", many, to=tmp_path / "scored.parquet", registry=registry).version == "v2"


def test_rows_with_an_id_keep_it(registry, tmp_path):
    frame = rows(500, 9).drop("y").with_columns(id=pl.format("c{}", pl.int_range(500)))
    frame.write_csv(tmp_path / "rows.csv")
    evermodel.score("m", tmp_path / "rows.csv", to=tmp_path / "scored.csv", registry=registry)
    assert pl.read_csv(tmp_path / "scored.csv")["id"].to_list() == frame["id"].to_list()


def test_other_rows_do_not_go_on_with_the_parts_of_these(registry, many, tmp_path, small_parts, monkeypatch):
    monkeypatch.setattr(scoring, "_assemble", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    to = tmp_path / "scored.parquet"
    with pytest.raises(KeyboardInterrupt):
        evermodel.score("m", many, to=to, registry=registry)
    monkeypatch.undo()
    rows(100, 3).drop("y").write_parquet(many)
    answer = ask(["score", "m", str(many), "--to", str(to)], registry)
    assert answer.code == 2
    assert "--restart" in answer.err
    assert evermodel.score("m", many, to=to, restart=True, registry=registry).rows == 100


def test_a_killed_process_loses_and_repeats_nothing(registry, many, tmp_path):
    to = tmp_path / "scored.parquet"
    code = (
        "import evermodel.registry.predictions.batch_scoring as s; s.PART_ROWS = 1000; from evermodel.cli import main\n"
    )
    slow = "b = s.clean_in_batches; s.clean_in_batches = lambda c: b(c, rows=500)\nmain()"
    command = [sys.executable, "-W", "ignore", "-c", code + slow, "score", "m", str(many), "--to", str(to)]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--registry", str(registry)], env=env, stdout=subprocess.DEVNULL)
    wait_for(lambda: len(list(tmp_path.glob(".scored.parquet.parts/*.parquet"))) >= 2 or process.poll() is not None, 60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = evermodel.score("m", many, to=to, registry=registry)
    assert result.rows == 20_000
    assert pl.read_parquet(to)["row"].to_list() == list(range(20_000))


def test_bad_requests(registry, many, tmp_path):
    with pytest.raises(BadSetting, match="must end in"):
        evermodel.score("m", many, to=tmp_path / "x.txt", registry=registry)
    with pytest.raises(AskedWrongly, match="files"):
        evermodel.score("m", rows(10, 1), to=tmp_path / "x.csv", registry=registry)
    assert ask(["score", "m", "nothing.csv", "--to", str(tmp_path / "x.csv")], registry).code == 2
    assert not list(tmp_path.glob(".x.csv.parts"))
