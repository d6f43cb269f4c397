"""Reads what a registry knows of a model: its log, the version in service, and its monitor where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evermodel.core.errors import EvermodelError
from evermodel.core.records.event import JUDGED
from evermodel.core.records.monitoring import MonitorStatus
from evermodel.integrations.samples.samples import Sample, samples
from evermodel.monitoring.watch import status
from evermodel.registry.evidence import deciding_comparison
from evermodel.registry.lookup import champion_of, open_store


def read_monitor_status(name: str, registry: str | Path | None) -> MonitorStatus | None:
    """The model's monitor, None where it was never watched. Raises NotFound for an unknown model."""
    found = status(name, registry=registry)
    return found if found.windows or found.alarms or found.counters else None


def model_samples(name: str, registry: str | Path | None) -> Iterator[Sample]:
    """Everything known of one model. Raises what reading it raises."""
    store = open_store(registry)
    champion, log = champion_of(store, name), store.read_events(name)
    judged = [event for event in log if event.kind in JUDGED]
    evidence = deciding_comparison(store, judged[-1]) if judged else None
    yield from samples(read_monitor_status(name, registry), champion, log, evidence)


def registry_samples(names: Sequence[str], registry: str | Path | None) -> Iterator[tuple[str, list[Sample]]]:
    """Each model's samples; one that cannot be read says so, and does not take the others with it.

    Without names: all models there are at that moment.
    """
    for name in names or open_store(registry).list_models():
        try:
            found = [*model_samples(name, registry), Sample("evermodel_monitor_up", (), 1)]
        except (EvermodelError, OSError, ValueError):
            found = [Sample("evermodel_monitor_up", (), 0)]
        yield name, found
