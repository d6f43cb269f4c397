"""A span of OpenTelemetry for each answered request, sent to a collector; no value of a row is in it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import evermodel
from evermodel.core.errors import BadSetting, MissingExtra

PACKAGES = {
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
}
USUAL_PATH = "/v1/traces"  # of OTLP over HTTP
FAILED = 500  # statuses from which on a span says that the server failed
SEND_SECONDS = 5.0  # for one delivery; spans that a collector does not take are lost


class RequestTracer:
    """Makes spans and hands them to a thread that sends them: no request waits for the collector."""

    def __init__(self, endpoint: str) -> None:
        """Raises BadSetting, MissingExtra."""
        address = check_endpoint(endpoint)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        about = {"service.name": "evermodel", "service.version": evermodel.__version__}
        # The process that embeds a server may trace itself: its own provider, named by nobody else, is left alone.
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address, timeout=SEND_SECONDS)))
        self._tracer = self._provider.get_tracer("evermodel.server", evermodel.__version__)
        self._propagator, self._kind = TraceContextTextMapPropagator(), SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    def record(
        self, headers: Mapping[bytes, bytes], route: str, status: int, began: int, ended: int, **about: str | int
    ) -> None:
        """One span, within the trace that the client's ``traceparent`` names. Moments are Unix nanoseconds."""
        carrier = {key: headers[key.encode()].decode("latin-1") for key in _TRACE if key.encode() in headers}
        context = self._propagator.extract(carrier) if carrier else None
        attributes: dict[str, Any] = {"http.request.method": "POST", "http.route": route}
        attributes |= {"http.response.status_code": status, **{f"evermodel.{k}": v for k, v in about.items()}}
        span = self._tracer.start_span(
            f"POST {route}", context, kind=self._kind, attributes=attributes, start_time=began
        )
        if status >= FAILED:
            span.set_status(self._failed)
        span.end(end_time=ended)

    def close(self) -> None:
        """Sends what waits, and ends the thread."""
        self._provider.shutdown()


_TRACE = ("traceparent", "tracestate")


def check_endpoint(endpoint: str) -> str:
    """The address with its path. Raises BadSetting for what is no HTTP address, MissingExtra."""
    try:
        parts = urlsplit(endpoint)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise BadSetting(
            f"`trace` must be the HTTP address of a collector of OpenTelemetry. Got {endpoint[:200]!r}.",
            "For example http://localhost:4318.",
        )
    for module, package in PACKAGES.items():
        if not _is_installed(module):
            raise MissingExtra.for_package(package, "trace", "Tracing requests")
    return endpoint.rstrip("/") + USUAL_PATH if parts.path in ("", "/") else endpoint


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it lies in
        return False
