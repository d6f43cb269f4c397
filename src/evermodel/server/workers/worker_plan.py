"""What a worker is told by the process that watches it: settings, the socket, and the folder that they share."""

from __future__ import annotations

from dataclasses import dataclass

from evermodel.server.log_writer import LogMode
from evermodel.server.server_settings import ServerLimits, ServerSettings


@dataclass(frozen=True)
class WorkerPlan:
    """Sent as one line of JSON on the worker's standard input: the token is on no command line."""

    descriptor: int  # of the socket that listens
    folder: str  # that all workers share: metrics, and what is decided on trials
    level: int  # of the log; 0: logging is not set up
    registry: str | None
    names: tuple[str, ...]
    host: str
    port: int
    token: str
    log: LogMode
    limits: ServerLimits
    tls_certificate: str | None
    tls_key: str | None
    trace: str
    shadow: tuple[str, ...]
    canary: tuple[str, ...]

    @property
    def settings(self) -> ServerSettings:
        """The settings of this worker: one process."""
        return ServerSettings(
            self.registry,
            self.names,
            self.host,
            self.port,
            self.token,
            self.log,
            self.limits,
            self.tls_certificate,
            self.tls_key,
            self.trace,
            self.shadow,
            self.canary,
        )


def plan_worker(settings: ServerSettings, descriptor: int, folder: str, level: int) -> WorkerPlan:
    """The plan of each worker of a server."""
    return WorkerPlan(
        descriptor,
        folder,
        level,
        _text(settings.registry),
        settings.names,
        settings.host,
        settings.port,
        settings.token,
        settings.log,
        settings.limits,
        _text(settings.tls_certificate),
        _text(settings.tls_key),
        settings.trace,
        settings.shadow,
        settings.canary,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True)
class WorkerNews:
    """One line of JSON on the worker's standard output: it answers, or it cannot begin, and why."""

    ready: bool
    error: str = ""  # the class among Evermodel's errors
    message: str = ""
    hint: str = ""
