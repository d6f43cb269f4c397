"""What a server is told when it starts: where it listens, and what a request may cost."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import BadSetting
from evermodel.integrations.access import AccessRule
from evermodel.server.log_writer import LOG_MODES, LogMode
from evermodel.server.request_tracing import check_endpoint

MEGABYTE = 1 << 20
MOST_WORKERS = 256
DRAIN_SECONDS = 30  # requests that are being answered have so long when the server is ended


@dataclass(frozen=True)
class ServerLimits:
    """What a request may cost. What is over a limit is refused at once, with the limit in the answer."""

    body_bytes: int = 32 * MEGABYTE
    rows: int = 100_000
    seconds: float = 30.0  # for the body to arrive, and again for the answer
    requests: int = 256  # at once; further ones are told to come back


@dataclass(frozen=True)
class ServerSettings:
    """Which models are served, where and to whom."""

    registry: str | Path | None
    names: tuple[str, ...] = ()  # () serves all models of the registry
    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""
    log: LogMode = "durable"
    limits: ServerLimits = ServerLimits()
    tls_certificate: str | Path | None = None
    tls_key: str | Path | None = None
    trace: str = ""  # address of a collector of OpenTelemetry; "": requests are not traced
    shadow: tuple[str, ...] = ()  # "NAME=VERSION"
    canary: tuple[str, ...] = ()  # "NAME=VERSION:5%"
    workers: int = 1  # processes

    def check(self) -> AccessRule:
        """The rule of access. Raises AskedWrongly, BadSetting."""
        if not 1 <= self.workers <= MOST_WORKERS:
            raise BadSetting(f"`workers` must be from 1 to {MOST_WORKERS}. Got {self.workers}.")
        if self.log not in LOG_MODES:
            raise BadSetting(f"`log` must be one of {', '.join(LOG_MODES)}. Got {self.log!r}.")
        self._check_certificate()
        if self.trace:
            check_endpoint(self.trace)
        return AccessRule(self.host, self.token, "the server")

    def _check_certificate(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadSetting("TLS needs two files, the certificate and its private key. One of them is not given.")
        if self.tls_certificate is None or self.tls_key is None:
            return
        for file in (self.tls_certificate, self.tls_key):
            if not Path(file).is_file():
                raise BadSetting(f"TLS cannot be set up: there is no file {str(file)[:200]!r}.", "Give files in PEM.")
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            # An empty passphrase: without one OpenSSL would ask the terminal for it, and wait.
            context.load_cert_chain(self.tls_certificate, self.tls_key, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "strerror", None) or str(error)
            raise BadSetting(
                f"TLS cannot be set up with {self.tls_certificate} and {self.tls_key}: {reason}.",
                "Give a certificate and its private key in PEM, without a passphrase.",
            ) from None
