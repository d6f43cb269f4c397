"""``serve``: loads the models in service, listens, and follows the registry until it is ended."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from evermodel.core.errors import AskedWrongly, MissingExtra
from evermodel.registry.lookup import champion_of, open_store
from evermodel.server.log_writer import LogMode
from evermodel.server.server_settings import ServerLimits, ServerSettings


class Running(Protocol):
    """What answers: one process, or several."""

    started: bool
    should_exit: bool

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers until it is ended."""


PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"}
WAITING_CONNECTIONS = 2048


class InferenceServer:
    """A server that listens. ``forever()`` answers until it is ended, ``with`` answers beside your own code."""

    def __init__(self, server: Running, listener: socket.socket, scheme: str) -> None:
        self._server, self._listener = server, listener
        self._scheme = scheme
        self.host, self.port = listener.getsockname()[:2]
        self._thread = threading.Thread(target=self.forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it is asked."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}"

    def forever(self) -> None:
        """Answers until SIGTERM or Ctrl-C; what is being answered then is answered first."""
        self._server.run(sockets=[self._listener])

    def __enter__(self) -> InferenceServer:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)
        return self

    def __exit__(self, *why: object) -> None:
        self._server.should_exit = True
        self._thread.join()


def serve(
    *names: str,
    port: int = 8080,
    host: str = "127.0.0.1",
    token: str = "",
    log: LogMode = "durable",
    shadow: Sequence[str] = (),
    canary: Sequence[str] = (),
    limits: ServerLimits | None = None,
    tls_certificate: str | Path | None = None,
    tls_key: str | Path | None = None,
    trace: str = "",
    workers: int = 1,
    registry: str | Path | None = None,
) -> InferenceServer:
    """A server that answers with the version in service of each model, and follows promotions and rollbacks.

    It speaks MLflow's ``/invocations`` and the Open Inference Protocol. A promotion or rollback is seen within a
    second; the next version is loaded beside the old one, gives its golden answers again, and is put in whole.

    Args:
        names: the models; by default all of the registry, those that come later too.
        port: 0 takes a free one.
        host: beyond this machine a token is needed.
        token: whoever asks sends it as ``Authorization: Bearer TOKEN``.
        log: "durable": each prediction is on disk before its answer leaves; "async": a crash may lose those of the last
            0.2 s; "off": none is kept.
        shadow: "NAME=VERSION": this version answers the same requests in the background; nobody gets its answers.
        canary: "NAME=VERSION:5%": this version answers so many of the requests, always the same entities. It is stopped
            when labels show it to be worse, or when it fails.
        limits: what a request may cost.
        tls_certificate: a certificate in PEM; with ``tls_key``, its private key, the server speaks HTTPS alone.
        tls_key: see ``tls_certificate``.
        trace: the address of a collector of OpenTelemetry (OTLP over HTTP), which gets a span of each request.
        workers: processes that answer on the one port. Each holds the models in its own memory; they share the log,
            the metrics and what is decided on trials. One that ends is started again.
        registry: the location of the registry.

    Raises:
        AskedWrongly: the address is taken, or lies beyond this machine and there is no token.
        BadSetting: the certificate and the key are not a pair, ``trace`` is no address, or ``workers`` is out of its
            bounds.
        NotFound: there is no such model.
        Damaged: a version in service does not answer as it did when it was put.
        MissingExtra: the extra ``serve``, or for ``trace`` the extra of that name, is not installed.

    Example:
        $ evermodel serve churn --port 8080
    """
    require_packages()
    limits = limits or ServerLimits()
    settings = ServerSettings(
        registry,
        tuple(names),
        host,
        port,
        token,
        log,
        limits,
        tls_certificate,
        tls_key,
        trace,
        tuple(shadow),
        tuple(canary),
        workers,
    )
    settings.check()
    listener = listen(host, port)
    try:
        return InferenceServer(_start(settings, listener), listener, "https" if tls_certificate else "http")
    except BaseException:
        listener.close()
        raise


def _start(settings: ServerSettings, listener: socket.socket) -> Running:
    """One process that has loaded its models; or several, all of which answer already."""
    store = open_store(settings.registry)
    for name in settings.names:
        champion_of(store, name)
    if settings.workers == 1:
        from evermodel.server.build_server import build_server

        return build_server(settings)
    from evermodel.server.workers.worker_group import WorkerGroup

    return WorkerGroup(settings, listener).start()


def require_packages() -> None:
    """Raises MissingExtra where a package of the extra ``serve`` is not installed."""
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtra.for_package(package, "serve", "The inference server")


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises AskedWrongly where it cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(WAITING_CONNECTIONS)
    except (OSError, OverflowError) as error:
        listener.close()
        raise AskedWrongly(f"Cannot listen on {host} port {port}: {error}.", "Choose another `port`.") from None
    return listener
