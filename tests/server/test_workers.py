"""Several processes on one port: what they share is right, one that is killed is started again, all end in order."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import polars as pl
import pytest

import evermodel
from evermodel.core.data.logged_predictions import list_row_files, scan_files
from evermodel.core.errors import BadSetting, NotFound
from evermodel.registry.lookup import open_store
from evermodel.registry.predictions.seal_segments import log_folder, seal_orphans
from evermodel.registry.predictions.staged_release import ReleaseEnd, begin_release, show_release
from evermodel.server.trials.trial_outcome import SharedTrials
from tests.server.conftest import records, server_process, wait_for
from tests.updating.conftest import rows


def ask_fresh(url: str, body: dict) -> dict:
    """One request on a connection of its own: any of the workers may answer."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        return client.post("/invocations", json=body).json()


def list_children(process_id: int) -> list[int]:
    found = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [int(child) for child in found]


def read_metric(url: str, name: str) -> float:
    """The sum of the samples of that name, whatever their labels are."""
    text = httpx.get(f"{url}/metrics", trust_env=False, timeout=30).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


def read_log(registry: Path) -> pl.Series:
    folder = log_folder(open_store(registry), "m")
    seal_orphans(folder)
    return scan_files(list_row_files(folder)).select("prediction_id").collect()["prediction_id"]


class Clients:
    """Threads that ask until they are told to stop; what was answered, and what failed."""

    def __init__(self, url: str, count: int = 4) -> None:
        self.url, self.answered, self.failed = url, [], []
        self._end, self._guard = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, seed: int) -> None:
        body = {"dataframe_records": records(2, seed)}
        while not self._end.is_set():
            try:
                answer = ask_fresh(self.url, body)
            except httpx.HTTPError as error:
                self.failed.append(repr(error))
                continue
            with self._guard:
                self.answered += [f"{answer['prediction_id']}-{row}" for row in (0, 1)]


def test_one_that_is_killed_is_replaced_and_the_log_and_the_metrics_are_of_all(registry):
    with server_process("m", "--workers", "2", registry=registry) as (process, url):
        first = list_children(process.pid)
        assert len(first) == 2
        with Clients(url) as clients:
            wait_for(lambda: len(clients.answered) > 200)
            before = list(clients.answered)
            for worker in first:  # until the next ones answer, connections wait for them
                os.kill(worker, signal.SIGKILL)
            count = len(clients.answered)
            wait_for(lambda: len(clients.answered) > count + 200)
            wait_for(lambda: read_metric(url, "evermodel_server_workers") == 2)
        assert len(clients.failed) <= 8  # those that the killed workers had begun
        total = read_metric(url, "evermodel_server_rows_total")
        assert len(clients.answered) <= total <= len(clients.answered) + 2 * len(clients.failed)
        assert {read_metric(url, "evermodel_server_rows_total") for _ in range(8)} == {total}  # whoever is asked
        assert read_metric(url, "evermodel_server_requests_in_flight") == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) in (0, -signal.SIGTERM)
    assert not {identity[:16] for identity in before} & {identity[:16] for identity in clients.answered[-200:]}
    logged = read_log(registry)
    assert logged.is_unique().all()
    assert set(clients.answered) <= set(logged)


def test_promotions_reach_every_worker_and_drop_nothing(registry):
    with server_process("m", "--workers", "2", registry=registry) as (_, url), Clients(url, 1) as clients:
        for version in ("v2", "v1"):
            evermodel.promote("m", version, registry=registry)
            body = {"dataframe_records": records(1)}
            wait_for(lambda v=version, b=body: {ask_fresh(url, b)["version"] for _ in range(20)} == {v})
        assert not clients.failed


def test_sigterm_answers_what_each_worker_has_begun(registry):
    body = b'{"dataframe_records":[{"a":1,"b":2,"kind":"red"}]}'
    head = f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with server_process("m", "--workers", "2", registry=registry) as (process, url):
        host, port = url.removeprefix("http://").split(":")
        begun = [socket.create_connection((host, int(port))) for _ in range(12)]
        for connection in begun:
            connection.sendall(head + body[:10])
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        for connection in begun:
            connection.sendall(body[10:])
            connection.settimeout(30)
            assert connection.recv(2000).startswith(b"HTTP/1.1 200")
            connection.close()
        assert process.wait(timeout=120) in (0, -signal.SIGTERM)
    assert read_log(registry).len() == 12


def test_workers_end_when_the_one_that_watches_them_is_killed(registry):
    with server_process("m", "--workers", "2", registry=registry) as (process, _):
        workers = list_children(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: not any(Path(f"/proc/{worker}/stat").exists() and is_running(worker) for worker in workers))


def is_running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_canary_is_stopped_in_all_workers_when_labels_show_that_it_is_worse(registry):
    frame = rows(1600, 61)  # v1 was made for such rows, v2 is worse on them
    with evermodel.serve("m", port=0, workers=2, canary=["m=v2:40%"], registry=registry) as server:
        url = server.url
        ids, versions = [], []
        for at in range(0, frame.height, 10):
            answer = ask_fresh(url, {"dataframe_records": frame[at : at + 10].drop("y").to_dicts()})
            ids += [f"{answer['prediction_id']}-{row}" for row in range(10)]
            versions += [answer["version"]] * 10
        assert 0.25 < versions.count("v2") / 1600 < 0.55
        evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"]}), registry=registry)

        def is_stopped() -> bool:
            held = httpx.get(f"{url}/v2/models/m/ready", trust_env=False).json()
            return "worse" in held["trial"]["stopped"]

        wait_for(lambda: all(is_stopped() for _ in range(20)))
        body = {"dataframe_records": records(1)}
        assert {ask_fresh(url, body)["version"] for _ in range(30)} == {"v1"}
    with pytest.raises(httpx.HTTPError):
        ask_fresh(url, body)  # all of them have ended


def test_a_release_grows_and_serves_with_several_workers(registry):
    with server_process("m", "--workers", "2", registry=registry) as (_, url):
        begin_release("m", "v2", share=0.3, registry=registry)
        body = {"dataframe_records": records(1)}
        wait_for(lambda: {ask_fresh(url, body)["version"] for _ in range(40)} == {"v1", "v2"})
        for seed in range(71, 80):  # v2 was made for such rows
            frame = rows(1200, seed, angle=1.5)
            ids = []
            for at in range(0, frame.height, 20):
                answer = ask_fresh(url, {"dataframe_records": frame[at : at + 20].drop("y").to_dicts()})
                ids += [f"{answer['prediction_id']}-{row}" for row in range(20)]
            evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"]}), registry=registry)
            before = show_release("m", registry=registry).release.pairs
            wait_for(lambda b=before: show_release("m", registry=registry).release.pairs > b or is_over(registry))
            if is_over(registry):
                break
        assert show_release("m", registry=registry).release.end is ReleaseEnd.NO_WORSE
        wait_for(lambda: {ask_fresh(url, body)["version"] for _ in range(20)} == {"v2"})


def is_over(registry: Path) -> bool:
    return show_release("m", registry=registry).release.end is not None


def test_failures_are_counted_over_all_processes_and_the_first_reason_stays(tmp_path):
    one, two = SharedTrials(tmp_path).open_outcome("m|v2"), SharedTrials(tmp_path).open_outcome("m|v2")
    assert [one.count_failure(), two.count_failure(), one.count_failure()] == [1, 2, 3]
    assert one.stop("it failed") and not two.stop("it is worse")
    assert (one.stopped, two.stopped) == ("it failed", "it failed")
    assert SharedTrials(tmp_path).open_outcome("m|v2").stopped == "it failed"  # one that is started later
    assert SharedTrials(tmp_path).open_outcome("m|v3").stopped == ""


def test_one_process_judges(tmp_path):
    one, two = SharedTrials(tmp_path), SharedTrials(tmp_path)
    assert one.judges_here() and not two.judges_here()
    assert one.judges_here()
    one._lock.close()  # as its process ends
    assert two.judges_here()


def test_what_cannot_be_started_is_said_before_anything_listens(registry):
    with pytest.raises(BadSetting, match="workers"):
        evermodel.serve("m", port=0, workers=0, registry=registry)
    with pytest.raises(NotFound):
        evermodel.serve("other", port=0, workers=2, registry=registry)
    with pytest.raises(BadSetting, match="canary"):
        evermodel.serve("m", port=0, workers=2, canary=["m=v2"], registry=registry)
