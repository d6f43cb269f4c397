"""A small HTTP server that Prometheus scrapes; it listens on loopback only, unless it has a token."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from evermodel.core.errors import AskedWrongly
from evermodel.integrations.access import Access, AccessRule
from evermodel.integrations.exposition import check_names
from evermodel.integrations.samples.collector import collector_registry, require_client

Start = Callable[..., Any]
logger = logging.getLogger(__name__)
MOST_CONNECTIONS = 32  # at once
PATIENCE = 30.0  # seconds for one request and its answer
PAGE = "<!doctype html><title>Evermodel</title><p>Evermodel's exporter. <a href='/metrics'>Metrics</a></p>"


class Exporter:
    """Answers ``/metrics`` until it is closed. Each scrape reads the registry, so that no value is out of date."""

    def __init__(self, names: tuple[str, ...], registry: str | Path | None, server: WSGIServer) -> None:
        self.names, self.registry, self._server = names, registry, server
        self.host, self.port = str(server.server_address[0]), int(server.server_address[1])

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/metrics"

    def forever(self) -> None:
        """Serves until interrupted."""
        with suppress(KeyboardInterrupt):
            self._server.serve_forever(poll_interval=0.5)
        self._server.server_close()

    def __enter__(self) -> Exporter:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *why: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def exporter(
    *names: str, port: int = 9464, host: str = "127.0.0.1", token: str = "", registry: str | Path | None = None
) -> Exporter:
    """A server for Prometheus to scrape: ``forever()`` runs it, ``with`` runs it beside your code. Port 0: a free one.

    Without names, all models the registry has at each scrape. Beyond loopback a ``token`` is needed; whoever scrapes
    sends it as ``Authorization: Bearer TOKEN``. Raises AskedWrongly, NotFound, MissingExtra.

        $ evermodel metrics churn --port 9464
    """
    require_client()
    from prometheus_client import make_wsgi_app

    check_names(names, registry)
    rule = AccessRule(host, token, "the exporter")
    answer = _guarded(make_wsgi_app(collector_registry(names, registry)), rule)
    try:
        kind = _Threaded6 if ":" in host else _Threaded
        server = make_server(host, port, answer, server_class=kind, handler_class=_Silent)
    except (OSError, OverflowError) as error:
        raise AskedWrongly(f"Cannot listen on {host} port {port}: {error}.", "Choose another `port`.") from None
    return Exporter(names, registry, server)


def _guarded(metrics: Callable[..., Iterable[bytes]], rule: AccessRule) -> Callable[..., Iterable[bytes]]:
    def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        host, given = str(environ.get("HTTP_HOST", "localhost")), str(environ.get("HTTP_AUTHORIZATION", ""))
        access = rule.check(host, given)
        if access is Access.MISDIRECTED:
            start("421 Misdirected Request", [("Content-Type", "text/plain")])
            return [b"Ask by the name localhost or by the loopback address, or start the exporter with a token.\n"]
        if access is Access.UNAUTHORIZED:
            start("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
            return [b"A token is needed.\n"]
        path = environ.get("PATH_INFO", "/")
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            start("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Type", "text/plain")])
            return [b"Only GET.\n"]
        if path == "/metrics":
            return metrics(environ, start)
        if path == "/":
            start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            return [PAGE.encode()]
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Not here. Try /metrics.\n"]

    return answer


class _Threaded(socketserver.ThreadingMixIn, WSGIServer):
    """A thread per request: a slow reader does not delay the next scrape. At most ``MOST_CONNECTIONS`` at once."""

    daemon_threads = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hands the connection to a thread, or closes it where all threads are taken."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers one connection, which is cut off when its time is over, however slowly its bytes come."""
        deadline = threading.Timer(PATIENCE, _cut_off, (request,))
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; the traceback is there for who looks for it."""
        logger.debug("A scrape by %s was not answered.", client_address, exc_info=True)


def _cut_off(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Threaded6(_Threaded):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    timeout = PATIENCE  # seconds; an idle connection is closed

    def log_message(self, *_: Any) -> None:
        """Do not log every scrape."""
