"""Gives the samples to prometheus_client, which writes them in the format that a scraper asks for."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evermodel.core.errors import MissingExtra
from evermodel.integrations.samples.families import FAMILIES, Family
from evermodel.integrations.samples.model_state import registry_samples
from evermodel.integrations.samples.samples import Sample

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class ModelCollector:
    """Reads the registry at each scrape, so that no value is ever out of date."""

    def __init__(self, names: Sequence[str], registry: str | Path | None) -> None:
        self.names, self.registry = tuple(names), registry

    def collect(self) -> Iterable[Metric]:
        return group_families(registry_samples(self.names, self.registry))


def collector_registry(names: Sequence[str], registry: str | Path | None) -> CollectorRegistry:
    """A prometheus_client registry of these models alone: nothing of the exporter's own process is in it."""
    require_client()
    from prometheus_client import CollectorRegistry

    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(ModelCollector(names, registry))
    return collectors


def require_client() -> None:
    """Raises MissingExtra where prometheus_client is not installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        raise MissingExtra.for_package("prometheus-client", "monitor", "Exporting metrics")


def group_families(samples: Iterable[tuple[str, Sequence[Sample]]]) -> list[Metric]:
    """The families in the order of the table of names, each with the samples of all models; empty ones are left out."""
    grouped: dict[str, list[tuple[str, Sample]]] = {name: [] for name in FAMILIES}
    for model, model_samples in samples:
        for sample in model_samples:
            grouped[sample.family].append((model, sample))
    return [_metric(FAMILIES[name], rows) for name, rows in grouped.items() if rows]


def _metric(family: Family, rows: Sequence[tuple[str, Sample]]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    metric: Any = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "info": InfoMetricFamily}[family.kind](
        family.name, family.help, labels=family.labels
    )
    for model, sample in rows:
        labels = (model, *sample.labels)
        metric.add_metric(labels, {} if family.kind == "info" else sample.value)
    return cast("Metric", metric)
