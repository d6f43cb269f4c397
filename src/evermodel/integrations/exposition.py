"""The metrics of models in the text format of Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evermodel.integrations.samples.collector import collector_registry, require_client
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.results import Result


@dataclass(frozen=True)
class ExposeResult(Result):
    """The metrics of some models; ``text`` is what Prometheus would scrape."""

    models: tuple[str, ...]
    series: int
    text: str

    def lines(self) -> list[str]:
        return self.text.splitlines()


def expose(*names: str, registry: str | Path | None = None) -> ExposeResult:
    """The metrics of these models (all of the registry where none is named) in Prometheus's text format.

    A value that is not known has no series. Raises NotFound for an unknown model, MissingExtra without the extra
    ``monitor``.

        $ evermodel metrics churn --once
    """
    require_client()
    from prometheus_client import generate_latest

    models = check_names(names, registry)
    text = generate_latest(collector_registry(models, registry)).decode()
    series = sum(not line.startswith("#") for line in text.splitlines())
    return ExposeResult(models, series, text)


def check_names(names: tuple[str, ...], registry: str | Path | None) -> tuple[str, ...]:
    """The names themselves, each a model of the registry, or all there are. Raises NotFound."""
    store = open_store(registry)
    for name in names:
        champion_of(store, name)
    return names or tuple(store.list_models())
