"""A small server that answers Prometheus's scrapes; loopback unless a token is asked for."""

from __future__ import annotations

import hmac
import ipaddress
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from evermodel.core.errors import AskedWrongly
from evermodel.export._monitor.collector import needs_client, registry_of
from evermodel.export.exposition import known

Start = Callable[..., Any]
PAGE = "<!doctype html><title>Evermodel</title><p>Evermodel's exporter. <a href='/metrics'>Metrics</a></p>"


class Exporter:
    """Answers ``/metrics`` until it is closed. Each scrape reads the home, so that it never shows what is past."""

    def __init__(self, names: tuple[str, ...], home: str | Path | None, server: WSGIServer) -> None:
        self.names, self.home, self._server = names, home, server
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
    *names: str, port: int = 9464, host: str = "127.0.0.1", token: str = "", home: str | Path | None = None
) -> Exporter:
    """A server for Prometheus to scrape: ``forever()`` runs it, ``with`` runs it beside your code. Port 0: a free one.

    Without names, all models the home has at each scrape. Beyond loopback a ``token`` is needed; whoever scrapes sends
    it as ``Authorization: Bearer TOKEN``. Raises AskedWrongly, NotFound, MissingExtra.

        $ evermodel metrics churn --port 9464
    """
    needs_client()
    from prometheus_client import make_wsgi_app

    known(names, home)
    if not _is_loopback(host) and not token:
        raise AskedWrongly(
            f"Beyond this machine (--host {host}) the exporter asks for a token.",
            "Put one into a file and give it with --token-file.",
        )
    answer = _guarded(make_wsgi_app(registry_of(names, home)), token)
    try:
        kind = _Threaded6 if ":" in host else _Threaded
        server = make_server(host, port, answer, server_class=kind, handler_class=_Silent)
    except (OSError, OverflowError) as error:
        raise AskedWrongly(f"Cannot listen on {host} port {port}: {error}.", "Choose another --port.") from None
    return Exporter(names, home, server)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _guarded(metrics: Callable[..., Iterable[bytes]], token: str) -> Callable[..., Iterable[bytes]]:
    expected = f"Bearer {token}".encode()

    def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        given = str(environ.get("HTTP_AUTHORIZATION", "")).encode("latin-1", "replace")
        if token and not hmac.compare_digest(given, expected):
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
    """A slow reader must not keep the next scrape waiting."""

    daemon_threads = True


class _Threaded6(_Threaded):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    timeout = 30  # seconds; a connection that says nothing is closed

    def log_message(self, *_: Any) -> None:
        """A line a scrape would drown what matters."""
