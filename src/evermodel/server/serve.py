"""``serve``: loads the models in service, listens, and follows the registry until it is ended."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evermodel.core.errors import AskedWrongly, MissingExtra
from evermodel.registry.lookup import champion_of, open_store
from evermodel.server.log_writer import LogMode
from evermodel.server.server_settings import ServerLimits, ServerSettings

if TYPE_CHECKING:
    import uvicorn

PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"}
DRAIN_SECONDS = 30  # requests that are being answered have so long when the server is ended
KEEP_ALIVE_SECONDS = 30  # an idle connection is closed after so long
WAITING_CONNECTIONS = 2048


class InferenceServer:
    """A server that listens. ``forever()`` answers until it is ended, ``with`` answers beside your own code."""

    def __init__(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._server, self._listener = server, listener
        self._scheme = "http" if server.config.ssl_certfile is None else "https"
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
        registry: the location of the registry.

    Raises:
        AskedWrongly: the address is taken, or lies beyond this machine and there is no token.
        BadSetting: the certificate and the key are not a pair, or ``trace`` is no address.
        NotFound: there is no such model.
        Damaged: a version in service does not answer as it did when it was put.
        MissingExtra: the extra ``serve``, or for ``trace`` the extra of that name, is not installed.

    Example:
        $ evermodel serve churn --port 8080
    """
    require_packages()
    limits = limits or ServerLimits()
    settings = ServerSettings(registry, tuple(names), host, port, token, log, limits, tls_certificate, tls_key, trace)
    rule = settings.check()
    listener = listen(host, port)
    try:
        from evermodel.server.asgi_app import InferenceApp
        from evermodel.server.served_models import ServedModels
        from evermodel.server.server_metrics import ServerMetrics
        from evermodel.server.trial_version import parse_trials

        trials = parse_trials(tuple(shadow), tuple(canary))
        store = open_store(registry)
        for name in names:
            champion_of(store, name)
        metrics = ServerMetrics(tuple(names), registry)
        models = ServedModels(store, tuple(names), metrics, settings.log, trials)
        models.load_all()
        app = InferenceApp(models, metrics, settings, rule)
        return InferenceServer(_build_server(app.build(), settings), listener)
    except BaseException:
        listener.close()
        raise


def _build_server(app: Any, settings: ServerSettings) -> uvicorn.Server:
    import uvicorn

    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,  # the command line sets up logging; a library does not
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is not looked at
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    return uvicorn.Server(config)


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
