"""The prediction log: what was answered is in it once, whatever happens; labels join it, updates read it."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading

import httpx
import polars as pl
import pytest

import evermodel
from evermodel.core.data.logged_predictions import list_row_files, scan_files
from evermodel.registry.lookup import open_store
from evermodel.registry.predictions.log_segments import list_segments
from evermodel.registry.predictions.seal_segments import log_folder, seal_orphans
from tests.cli.ground import ask
from tests.server.conftest import records, server_process, wait_for
from tests.small_disk import mountable, mounted
from tests.updating.conftest import rows


def logged(registry) -> pl.DataFrame:
    folder = log_folder(open_store(registry), "m")
    seal_orphans(folder)
    return scan_files(list_row_files(folder)).collect()


def sent(frame: pl.DataFrame) -> list[dict]:
    return frame.drop("y").to_dicts()


@pytest.fixture
def answered(registry) -> tuple[pl.DataFrame, list[str]]:
    """1,500 rows that were answered, and the ids of their predictions."""
    frame, ids = rows(1500, 40, angle=1.5), []
    frame = frame.with_columns(id=pl.format("c{}", pl.int_range(1500)))
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        for at in range(0, 1500, 100):
            answer = client.post("/invocations", json={"dataframe_records": sent(frame[at : at + 100])}).json()
            ids += [f"{answer['prediction_id']}-{row}" for row in range(100)]
    return frame, ids


def test_the_log_holds_what_was_asked_and_answered(registry):
    wrong = records(5)
    wrong[2]["a"] = "old"
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        first = client.post("/invocations", json={"dataframe_records": wrong}).json()
        evermodel.promote("m", "v2", registry=registry)
        wait_for(lambda: client.get("/v2/models/m/ready").json()["version"] == "v2")
        client.post("/invocations", json={"dataframe_records": [{"a": None, "b": 1, "kind": "red", "when": 7}]})
    held = logged(registry)
    places = [0, 1, 3, 4]
    assert held["prediction_id"].to_list()[:4] == [f"{first['prediction_id']}-{i}" for i in places]
    assert held["version"].to_list() == ["v1"] * 4 + ["v2"]
    assert held["a"].to_list() == [wrong[i]["a"] for i in places] + [None]
    assert held["kind"].to_list() == [wrong[i]["kind"] for i in places] + ["red"]
    assert held["prediction"].to_list()[:4] == [first["predictions"][i] for i in places]
    assert held["p_1"].to_list()[:4] == [first["probabilities"][i][1] for i in places]
    assert held["when"].to_list()[4] == 7
    assert min(held["when"].to_list()[:4]) > 1.7e9  # not sent: when it was answered


def test_labels_by_prediction_id_make_rows_to_update_with(registry, answered):
    frame, ids = answered
    labels = pl.DataFrame({"prediction_id": ids, "y": frame["y"]})
    result = evermodel.label("m", labels[:1000], registry=registry)
    assert (result.joined, result.labelled_rows, result.rows) == (1000, 1000, 1500)
    again = evermodel.label("m", labels[:1000], registry=registry)
    assert again.labelled_rows == 1000
    corrected = labels[:1].with_columns(y=1 - pl.col("y"))
    assert evermodel.label("m", corrected, registry=registry).labelled_rows == 1000
    evermodel.label("m", labels[:1], registry=registry)
    evermodel.label("m", labels[1000:], registry=registry)
    update = evermodel.update("m", result.log, registry=registry, strategy="refit")
    assert update.decision == "promote"
    with pytest.raises(evermodel.errors.AskedWrongly, match="All 1,500 rows were known before"):
        evermodel.update("m", frame.drop("id"), registry=registry)  # the log held the very rows, to the bit


def test_rows_without_a_time_are_updated_with_in_the_order_of_their_answers(registry):
    frame, ids = rows(600, 41, angle=1.5), []
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        for at in (0, 300):
            sent_rows = frame[at : at + 300].drop("y", "when").to_dicts()
            answer = client.post("/invocations", json={"dataframe_records": sent_rows}).json()
            ids += [f"{answer['prediction_id']}-{row}" for row in range(300)]
    result = evermodel.label("m", frame.select("y", prediction_id=pl.Series(ids)), registry=registry)
    assert evermodel.update("m", result.log, registry=registry, strategy="refit").decision == "promote"


def test_watch_takes_in_what_was_logged_each_row_for_its_version(registry):
    frame = rows(2000, 42)
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        first = client.post("/invocations", json={"dataframe_records": sent(frame[:1200])}).json()
        evermodel.promote("m", "v2", registry=registry)
        wait_for(lambda: client.get("/v2/models/m/ready").json()["version"] == "v2")
        client.post("/invocations", json={"dataframe_records": sent(frame[1200:])})
    ids = [f"{first['prediction_id']}-{i}" for i in range(500)]
    evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"][:500]}), registry=registry)
    status = evermodel.watch("m", window="500rows", registry=registry).status
    assert status.counters["predictions"] == 2000
    assert status.counters["labels"] == 500
    assert status.version == "v2"
    again = evermodel.watch("m", registry=registry).status
    assert again.counters["predictions"] == 2000
    assert ask(["watch", "m", "--json"], registry).code in (0, 20)


def test_labels_by_an_id_that_the_client_sent(registry, answered, tmp_path):
    frame, _ = answered
    file = tmp_path / "answers.csv"
    extra = pl.DataFrame({"id": ["nobody"], "y": [1]})
    pl.concat([frame.select("id", "y")[:300], extra]).write_csv(file)
    result = evermodel.label("m", file, registry=registry)
    assert (result.joined, result.unmatched, result.by) == (300, 1, ("id",))
    assert evermodel.evaluate("m", result.log, registry=registry).rows == 300


def test_labels_from_the_standard_input(registry, answered, monkeypatch):
    frame, _ = answered
    text = frame.select("id", "y")[:10].write_csv()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    answer = ask(["label", "m", "-"], registry)
    assert answer.code == 0, answer.err
    assert "10 of 10 labels joined" in answer.out


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (pl.DataFrame({"id": ["c1"]}), "no column 'y'"),
        (pl.DataFrame({"y": [1]}), "cannot be joined"),
        (pl.DataFrame({"uuid": ["u"], "y": [1]}), "did not send it"),
    ],
)
def test_labels_that_cannot_be_joined_are_told(registry, answered, labels, says):
    with pytest.raises(evermodel.errors.AskedWrongly, match=says):
        evermodel.label("m", labels, registry=registry)


def test_what_was_answered_before_a_kill_is_in_the_log_once(registry):
    for _ in range(3):
        answered: list[str] = []
        with server_process("m", registry=registry) as (process, url):
            guard = threading.Lock()

            def keep_asking(seed: int, url=url, answered=answered, guard=guard) -> None:
                with httpx.Client(base_url=url, trust_env=False) as client:
                    for _ in range(10_000):
                        try:
                            answer = client.post("/invocations", json={"dataframe_records": records(2, seed)})
                        except httpx.HTTPError:
                            return
                        with guard:
                            answered += [f"{answer.json()['prediction_id']}-{row}" for row in (0, 1)]

            threads = [threading.Thread(target=keep_asking, args=(seed,)) for seed in range(4)]
            for thread in threads:
                thread.start()
            wait_for(lambda answered=answered: len(answered) > 400, 30)
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
        ids = logged(registry)["prediction_id"]
        assert ids.is_unique().all()
        assert set(answered) <= set(ids)


def test_a_half_written_end_of_a_segment_is_passed_over(registry):
    with server_process("m", registry=registry) as (process, url):
        for _ in range(5):
            httpx.post(f"{url}/invocations", json={"dataframe_records": records(1)}, trust_env=False)
        process.send_signal(signal.SIGKILL)
        process.wait()
    segment = list_segments(log_folder(open_store(registry), "m") / "open")[0]
    os.truncate(segment, segment.stat().st_size - 7)
    assert logged(registry).height == 4


def test_a_segment_that_is_being_written_is_left_alone(registry):
    with server_process("m", registry=registry) as (_, url):
        httpx.post(f"{url}/invocations", json={"dataframe_records": records(3)}, trust_env=False)
        folder = log_folder(open_store(registry), "m")
        assert seal_orphans(folder) == 0
        answer = httpx.post(f"{url}/invocations", json={"dataframe_records": records(3)}, trust_env=False).json()
        label = pl.DataFrame({"prediction_id": [f"{answer['prediction_id']}-1"], "y": [1]})
        assert evermodel.label("m", label, registry=registry).joined == 1


def test_without_a_log_nothing_is_written(registry):
    with evermodel.serve("m", port=0, log="off", registry=registry) as server:
        httpx.post(f"{server.url}/invocations", json={"dataframe_records": records(3)}, trust_env=False)
    assert not (registry / "predictions").exists()
    with pytest.raises(evermodel.errors.NotFound, match="logged"):
        evermodel.label("m", pl.DataFrame({"id": ["c1"], "y": [1]}), registry=registry)


def test_doctor_and_backup_take_the_log_as_it_is(registry, answered, tmp_path):
    findings = [f for f in evermodel.doctor(registry=registry).findings if "predictions" in f.where + f.what]
    assert not [f for f in findings if f.level in ("critical", "warning")], findings
    assert evermodel.backup(to=tmp_path / "backup", registry=registry).models == ("m",)


def test_a_policy_learns_from_the_log(registry, answered):
    frame, ids = answered
    log = log_folder(open_store(registry), "m")
    evermodel.policy("m", {"data": str(log / "rows"), "labels": str(log / "labels"), "rows": 500}, registry=registry)
    evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"]}), registry=registry)
    done = evermodel.maintain("m", registry=registry)
    update = next(job for job in done.jobs if job.kind == "update")
    assert update.decision == "promote", str(done)
    assert evermodel.open(registry)["m"].champion.name == "v3"


@pytest.mark.skipif(not mountable(), reason="no disk of our own can be mounted here")
def test_on_a_full_disk_no_answer_leaves_without_its_log(registry):
    with mounted() as disk:
        (registry / "predictions").symlink_to(disk.at, target_is_directory=True)
        with (
            evermodel.serve("m", port=0, registry=registry) as server,
            httpx.Client(base_url=server.url, trust_env=False) as client,
        ):
            body = {"dataframe_records": records(200)}
            answers = [client.post("/invocations", json=body)]
            disk.leave(8_192)
            answers += [client.post("/invocations", json=body) for _ in range(5)]
            assert client.get("/v2/health/live").status_code == 200
            disk.free()
            answers += [client.post("/invocations", json=body) for _ in range(3)]
            metrics = client.get("/metrics").text
        statuses = [answer.status_code for answer in answers]
        assert statuses[0] == statuses[-1] == 200
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert refused[0].headers["retry-after"]
        assert "logged" in refused[0].json()["message"]
        assert f'evermodel_server_lost_predictions{{model="m"}} {200.0 * len(refused)}' in metrics
        told = [f"{a.json()['prediction_id']}-{row}" for a in answers if a.status_code == 200 for row in range(200)]
        assert sorted(logged(registry)["prediction_id"]) == sorted(told)


def test_mode_async_writes_what_waits_when_the_server_ends(registry):
    with server_process("m", "--log", "async", registry=registry) as (process, url):
        for _ in range(20):
            httpx.post(f"{url}/invocations", json={"dataframe_records": records(1)}, trust_env=False)
        wait_for(lambda: sum(p.stat().st_size for p in (registry / "predictions" / "m" / "open").iterdir()) > 2_000)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert logged(registry).height == 20
