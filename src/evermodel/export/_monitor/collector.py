"""Hands the samples to prometheus_client, which knows the two text formats and when to use which."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evermodel.core.errors import MissingExtra
from evermodel.export._monitor.names import FAMILIES, Family
from evermodel.export._monitor.reading import home_samples
from evermodel.export._monitor.samples import Sample

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class HomeCollector:
    """Reads the home anew at each scrape: it keeps no state that could go stale or be lost."""

    def __init__(self, names: Sequence[str], home: str | Path | None) -> None:
        self.names, self.home = tuple(names), home

    def collect(self) -> Iterable[Metric]:
        return families(home_samples(self.names, self.home))


def registry_of(names: Sequence[str], home: str | Path | None) -> CollectorRegistry:
    """A registry of these models alone: nothing of the exporter's own process is in it."""
    needs_client()
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(HomeCollector(names, home))
    return registry


def needs_client() -> None:
    """Raises MissingExtra where prometheus_client is not installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        raise MissingExtra.for_package("prometheus-client", "monitor", "Exporting metrics")


def families(found: Iterable[tuple[str, Sequence[Sample]]]) -> list[Metric]:
    """The families in the order of the table of names, each with the samples of all models; empty ones are left out."""
    grouped: dict[str, list[tuple[str, Sample]]] = {name: [] for name in FAMILIES}
    for model, its in found:
        for sample in its:
            grouped[sample.family].append((model, sample))
    return [_metric(FAMILIES[name], rows) for name, rows in grouped.items() if rows]


def _metric(family: Family, rows: Sequence[tuple[str, Sample]]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    made: Any = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "info": InfoMetricFamily}[family.kind](
        family.name, family.says, labels=family.labels
    )
    for model, sample in rows:
        labels = (model, *sample.labels)
        made.add_metric(labels, {} if family.kind == "info" else sample.value)
    metric: Metric = made
    return metric
