"""Requests are traced by OpenTelemetry: a collector gets a span of each, in the trace that the client began."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

import evermodel
from evermodel.core.errors import BadSetting, MissingExtra
from evermodel.server.request_tracing import check_endpoint
from tests.cli.ground import ask
from tests.server.conftest import records

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextlib.contextmanager
def collect_spans(status: int = 200) -> Iterator[tuple[str, list[bytes]]]:
    """A collector of OTLP over HTTP on this machine: its address, and the bodies that it got."""
    got: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            got.append(body)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read_spans(bodies: list[bytes]) -> list[Any]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    return [span for r in requests for one in r.resource_spans for scope in one.scope_spans for span in scope.spans]


def read_attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_a_collector_gets_a_span_of_each_request(registry):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    wrong = records(3)
    wrong[1]["kind"] = ["secret-value"]
    began = time.time_ns()
    with collect_spans() as (address, got):
        with (
            evermodel.serve("m", port=0, registry=registry, trace=address) as server,
            httpx.Client(base_url=server.url, trust_env=False) as client,
        ):
            parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            first = client.post("/invocations", json={"dataframe_records": wrong}, headers=parent).json()
            assert client.post("/v2/models/m/infer", json={"inputs": []}).status_code == 400
            client.post("/models/m/invocations", json={"dataframe_records": records(1)}, headers={"traceparent": "x"})
        spans = read_spans(got)  # an ending server sends what waits
    assert [span.name for span in spans] == [
        "POST /invocations",
        "POST /v2/models/{name}/infer",
        "POST /models/{name}/invocations",
    ]
    one, refused, alone = spans
    assert (one.trace_id.hex(), one.parent_span_id.hex()) == (TRACE, PARENT)
    assert read_attributes(one) == {
        "http.request.method": "POST",
        "http.route": "/invocations",
        "http.response.status_code": 200,
        "evermodel.prediction_id": first["prediction_id"],
        "evermodel.model": "m",
        "evermodel.version": "v1",
        "evermodel.rows": 2,
        "evermodel.refused_rows": 1,
    }
    assert read_attributes(refused)["http.response.status_code"] == 400
    assert not alone.parent_span_id  # what is no traceparent begins no trace of the client's
    assert all(began <= span.start_time_unix_nano < span.end_time_unix_nano <= time.time_ns() for span in spans)
    assert b"secret-value" not in b"".join(got)


@pytest.mark.parametrize("status", [503, None], ids=["refuses", "is not there"])
def test_a_collector_that_fails_harms_nobody(registry, status):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with contextlib.ExitStack() as stack:
        address = "http://127.0.0.1:9" if status is None else stack.enter_context(collect_spans(status))[0]
        with (
            evermodel.serve("m", port=0, registry=registry, trace=address) as server,
            httpx.Client(base_url=server.url, trust_env=False) as client,
        ):
            for _ in range(20):
                assert client.post("/invocations", json={"dataframe_records": records(1)}).status_code == 200
            began = time.monotonic()
    assert time.monotonic() - began < 60  # it ends, though the spans cannot be sent


@pytest.mark.parametrize("address", ["collector:4318", "ftp://collector", "http://", "http://a:b", "http://[", "x"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(BadSetting, match="HTTP address of a collector"):
        check_endpoint(address)


def test_the_command_refuses_it_in_words(registry):
    answer = ask(["serve", "m", "--trace", "collector"], registry)
    assert answer.code == 2
    assert "http://localhost:4318" in answer.err


def test_an_address_gets_the_usual_path():
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    assert check_endpoint("http://localhost:4318/") == "http://localhost:4318/v1/traces"
    assert check_endpoint("https://collector/otlp/v1/traces") == "https://collector/otlp/v1/traces"


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(MissingExtra, match="opentelemetry") as missing:
        check_endpoint("http://localhost:4318")
    assert missing.value.hint == 'pip install "evermodel[trace]"'
