"""What the server counts about itself, beside the models' own metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from evermodel.integrations.samples.collector import ModelCollector

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class ServerMetrics:
    """The counters of one server. Labels are names of models, versions and status codes, never anything of a row.

    A server of several processes keeps them in files that the processes share: each of them shows the sum of all.
    """

    def __init__(self, names: Sequence[str], registry: str | Path | None, shared: Path | None = None) -> None:
        """``shared``: the folder of a server of several processes. prometheus_client wants it in its variable too."""
        own = CollectorRegistry(auto_describe=False)
        self.registry, self.shared = own, shared
        self._exposed = own
        if shared is not None:
            self._exposed = CollectorRegistry(auto_describe=False)
            MultiProcessCollector(self._exposed, str(shared))  # type: ignore[no-untyped-call]
        self._exposed.register(ModelCollector(names, registry))
        self.requests = Counter(
            "evermodel_server_requests", "Answered requests for predictions.", ["model", "status"], registry=own
        )
        self.rows = Counter("evermodel_server_rows", "Predicted rows.", ["model", "version"], registry=own)
        self.refused_rows = Counter(
            "evermodel_server_refused_rows", "Rows that do not fit the signature.", ["model"], registry=own
        )
        self.seconds = Histogram(
            "evermodel_server_request_seconds", "Time to answer.", ["model"], registry=own, buckets=BUCKETS
        )
        self.in_flight = Gauge(
            "evermodel_server_requests_in_flight",
            "Requests being answered.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.version = Gauge(
            "evermodel_server_version_in_service",
            "1: this version answers.",
            ["model", "version"],
            registry=own,
            multiprocess_mode="livemax",
        )
        self.swaps = Counter("evermodel_server_swaps", "Changes of the version that answers.", ["model"], registry=own)
        self.failed_swaps = Counter(
            "evermodel_server_failed_swaps", "Versions that were not put in.", ["model"], registry=own
        )

        self.lost_predictions = Gauge(
            "evermodel_server_lost_predictions",
            "Predictions missing in the log.",
            ["model"],
            registry=own,
            multiprocess_mode="sum",
        )
        workers = Gauge("evermodel_server_workers", "Processes that answer.", registry=own, multiprocess_mode="livesum")
        workers.set(1)

        self._requests: dict[tuple[str, int], Counter] = {}
        self._seconds: dict[str, Histogram] = {}
        self._rows: dict[tuple[str, str], Counter] = {}

    def count_request(self, name: str, status: int, seconds: float) -> None:
        """Counts an answered request. The children of the families are kept: finding one costs more than counting."""
        key = name, status
        if key not in self._requests:
            self._requests[key] = self.requests.labels(name, status)
            self._seconds[name] = self.seconds.labels(name)
        self._requests[key].inc()
        self._seconds[name].observe(seconds)

    def count_rows(self, name: str, version: str, rows: int, refused: int) -> None:
        """Counts predicted and refused rows."""
        if rows:
            key = name, version
            if key not in self._rows:
                self._rows[key] = self.rows.labels(name, version)
            self._rows[key].inc(rows)
        if refused:
            self.refused_rows.labels(name).inc(refused)

    def forget_version(self, name: str, version: str) -> None:
        """A version that answers no more. What several processes share cannot be taken out, so there it becomes 0."""
        if self.shared is None:
            self.version.remove(name, version)
        else:
            self.version.labels(name, version).set(0)

    def expose(self) -> bytes:
        """All metrics in the text format of Prometheus. Reads the registry of models."""
        return generate_latest(self._exposed)
