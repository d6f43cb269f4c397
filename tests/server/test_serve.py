"""The inference server as its clients meet it: over HTTP."""

from __future__ import annotations

import io
import signal
import socket
import threading
import time

import httpx
import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, NotFound
from tests.server.conftest import expected, records, server_process, wait_for
from tests.updating.conftest import rows

TOKEN = "a-token-nobody-knows"  # noqa: S105


def test_it_answers_as_predict_does(client, registry):
    answer = client.post("/invocations", json={"dataframe_records": records(300)}).json()
    frame = expected(300, 5, registry, "v1")
    assert answer["predictions"] == frame["prediction"].to_list()
    assert answer["version"] == "v1"
    assert np.allclose(np.array(answer["probabilities"])[:, 1], frame["p_1"].to_numpy(), atol=1e-6)


def test_every_form_of_a_body_gets_the_same_answer(client):
    frame = rows(20, 6).select("a", "b", "kind")
    stream, parquet = io.BytesIO(), io.BytesIO()
    frame.write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    frame.write_parquet(parquet)
    reversed_columns = frame.select("kind", "b", "a")
    split = {"columns": reversed_columns.columns, "data": [list(row) for row in reversed_columns.rows()]}
    lists = [list(row) for row in frame.rows()]
    bodies = [
        {"json": {"dataframe_records": frame.to_dicts()}},
        {"json": {"dataframe_split": split}},
        {"json": {"instances": frame.to_dicts()}},
        {"json": {"instances": lists}},
        {"json": {"inputs": frame.to_dict(as_series=False)}},
        {"content": frame.write_csv(), "headers": {"Content-Type": "text/csv"}},
        {"content": stream.getvalue(), "headers": {"Content-Type": "application/vnd.apache.arrow.stream"}},
        {"content": parquet.getvalue(), "headers": {"Content-Type": "application/vnd.apache.parquet"}},
    ]
    answers = [client.post("/invocations", **body).json()["probabilities"] for body in bodies]
    assert len(answers[0]) == 20
    assert all(np.allclose(answer, answers[0]) for answer in answers)


def test_a_wrong_row_is_refused_by_itself(client):
    sent = records(6)
    sent[1]["a"] = "old"
    del sent[3]["b"]
    sent[4]["kind"] = ["red"]
    whole = client.post("/invocations", json={"dataframe_records": records(6)}).json()
    answer = client.post("/invocations", json={"dataframe_records": sent})
    assert answer.status_code == 200
    held = answer.json()
    assert [(r["row"], r["column"]) for r in held["refused"]] == [(1, "a"), (3, "b"), (4, "kind")]
    assert held["predictions"] == [p if i not in (1, 3, 4) else None for i, p in enumerate(whole["predictions"])]
    assert held["probabilities"][5] == whole["probabilities"][5]
    refused = client.post("/invocations?on_error=refuse", json={"dataframe_records": sent})
    assert refused.status_code == 422
    assert refused.json()["refused_rows"] == 3
    assert "old" not in refused.text


def test_the_open_inference_protocol(client):
    sent = rows(4, 7)
    inputs = [
        {"name": name, "shape": [4, 1], "datatype": kind, "data": sent[name].to_list()}
        for name, kind in (("a", "FP64"), ("b", "FP64"), ("kind", "BYTES"))
    ]
    described = client.get("/v2/models/m").json()
    assert [i["name"] for i in described["inputs"]] == ["a", "b", "kind"]
    answer = client.post("/v2/models/m/infer", json={"id": "42", "inputs": inputs}).json()
    assert answer["id"] == "42"
    assert answer["model_version"] == "v1"
    prediction, probabilities = answer["outputs"]
    plain = client.post("/invocations", json={"dataframe_records": records(4, 7)}).json()
    assert [int(p) for p in prediction["data"]] == plain["predictions"]
    assert np.allclose(np.reshape(probabilities["data"], probabilities["shape"]), plain["probabilities"])
    one = client.post("/v2/models/m/infer", json={"inputs": inputs, "outputs": [{"name": "probabilities"}]}).json()
    assert [o["name"] for o in one["outputs"]] == ["probabilities"]
    wrong = client.post("/v2/models/m/infer", json={"inputs": [inputs[0] | {"data": [1, 2, 3, "x"]}, *inputs[1:]]})
    assert wrong.status_code == 422
    assert wrong.json()["refused"] == [{"row": 3, "column": "a", "reason": "must be a number, and is a text"}]
    assert client.get("/v2/models/m/ready").json()["version"] == "v1"
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200


WRONG = {
    "no json": ({"content": b"{"}, 400),
    "a list": ({"json": [1, 2]}, 400),
    "no form": ({"json": {"rows": []}}, 400),
    "two forms": ({"json": {"instances": [[1, 2, "red"]], "inputs": [[1, 2, "red"]]}}, 400),
    "no rows": ({"json": {"dataframe_records": []}}, 400),
    "no column": ({"json": {"dataframe_records": [{"a": 1.0}]}}, 422),
    "ragged": ({"json": {"instances": [[1, 2]]}}, 400),
    "deep": ({"content": b'{"instances":' + b"[" * 100_000}, 400),
    "another kind": ({"content": b"x", "headers": {"Content-Type": "text/html"}}, 415),
    "no arrow": ({"content": b"x" * 100, "headers": {"Content-Type": "application/vnd.apache.arrow.stream"}}, 400),
    "no parquet": ({"content": b"PAR1" * 50, "headers": {"Content-Type": "application/vnd.apache.parquet"}}, 400),
    "not utf-8": ({"content": b'{"instances": [["\xff"]]}'}, 400),
    "nan": ({"content": b'{"instances": [[NaN, 1, "red"]]}'}, 400),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_request_is_answered_in_words(client, what):
    body, status = WRONG[what]
    answer = client.post("/invocations", **body)
    assert answer.status_code == status, answer.text
    assert len(answer.json()["message"]) > 20
    assert "Traceback" not in answer.text
    assert client.post("/invocations", json={"dataframe_records": records(1)}).status_code == 200


def test_what_costs_too_much_is_refused(registry):
    limits = evermodel.ServerLimits(body_bytes=20_000, rows=50, seconds=0.5)
    with (
        evermodel.serve("m", port=0, registry=registry, limits=limits) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        assert client.post("/invocations", json={"dataframe_records": records(51)}).status_code == 413
        assert client.post("/invocations", content=b"x" * 20_001).status_code == 413
        assert client.post("/invocations", content=iter([b"x" * 15_000] * 2)).status_code == 413
        with socket.create_connection((server.host, server.port)) as slow:
            slow.sendall(b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            slow.settimeout(5)
            assert b" 408 " in slow.recv(1000)
        assert client.post("/invocations", json={"dataframe_records": records(50)}).status_code == 200


def test_who_may_ask(registry):
    with pytest.raises(AskedWrongly, match="token"):
        evermodel.serve("m", port=0, host="0.0.0.0", registry=registry)  # noqa: S104
    with evermodel.serve("m", port=0, registry=registry) as server:
        assert httpx.get(f"{server.url}/ping", headers={"Host": "evil.example"}, trust_env=False).status_code == 421
    with evermodel.serve("m", port=0, token=TOKEN, registry=registry) as server:
        assert httpx.get(f"{server.url}/ping", trust_env=False).status_code == 401
        wrong = {"Authorization": f"Bearer {TOKEN}x"}
        assert httpx.post(f"{server.url}/invocations", headers=wrong, trust_env=False).status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}", "Host": "models.internal"}
        assert httpx.get(f"{server.url}/ping", headers=right, trust_env=False).status_code == 200


def test_a_model_that_is_not_there_is_said_before_anything_listens(registry):
    with pytest.raises(NotFound, match="nope"):
        evermodel.serve("nope", port=0, registry=registry)


def test_a_promotion_is_put_in_within_a_second_and_drops_nothing(client, registry):
    body = {"dataframe_records": records(3)}
    before, after = (expected(3, 5, registry, v)["p_1"].to_numpy() for v in ("v1", "v2"))
    assert not np.allclose(before, after, atol=0.01)
    wrong: list[object] = []
    versions: list[str] = []
    end = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=client.base_url, trust_env=False) as own:
            while not end.is_set():
                answer = own.post("/invocations", json=body)
                held = answer.json()
                versions.append(held.get("version", ""))
                should = {"v1": before, "v2": after}.get(held.get("version"))
                if answer.status_code != 200 or not np.allclose(np.array(held["probabilities"])[:, 1], should):
                    wrong.append(held)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        for version, change in (("v2", "promote"), ("v1", "rollback")):
            evermodel.promote("m", version, registry=registry) if change == "promote" else evermodel.rollback(
                "m", registry=registry
            )
            wait_for(lambda v=version: client.get("/v2/models/m/ready").json()["version"] == v)
    end.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert {"v1", "v2"} == set(versions)
    metrics = client.get("/metrics").text
    assert 'evermodel_server_swaps_total{model="m"} 6.0' in metrics
    assert 'evermodel_server_version_in_service{model="m",version="v1"} 1.0' in metrics


def test_a_damaged_version_never_goes_in(client, registry, caplog):
    evermodel.promote("m", "v2", registry=registry)
    wait_for(lambda: client.get("/v2/models/m/ready").json()["version"] == "v2")
    evermodel.rollback("m", registry=registry)
    wait_for(lambda: client.get("/v2/models/m/ready").json()["version"] == "v1")
    from evermodel.core.store import Move
    from evermodel.registry.lookup import open_store

    for file in (registry / "versions" / "m" / "v2" / "model").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(file.read_bytes()[:-20])
    open_store(registry).commit_moves("m", [Move("champion", "v2", "v1")], [])  # as a promotion elsewhere does
    wait_for(lambda: "not_put_in" in client.get("/v2/models/m/ready").json())
    told = client.get("/v2/models/m/ready").json()
    assert told["version"] == "v1"
    assert told["not_put_in"] == "v2"
    assert told["because"]
    assert client.post("/invocations", json={"dataframe_records": records(2)}).json()["version"] == "v1"
    assert 'evermodel_server_failed_swaps_total{model="m"} 1.0' in client.get("/metrics").text


def test_sigterm_answers_what_has_begun(registry):
    with server_process("m", registry=registry) as (process, url):
        host, port = url.removeprefix("http://").split(":")
        body = b'{"dataframe_records":[{"a":1,"b":2,"kind":"red"}]}'
        with socket.create_connection((host, int(port))) as begun:
            head = f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            begun.sendall(head.encode() + body[:10])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            begun.sendall(body[10:])
            begun.settimeout(10)
            assert begun.recv(2000).startswith(b"HTTP/1.1 200")
        assert process.wait(timeout=120) in (0, -signal.SIGTERM)
