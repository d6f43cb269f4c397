"""Reads what a home knows of a model: its log, the version in service, and its monitor where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evermodel.core.errors import EvermodelError
from evermodel.core.monitoring import Monitored
from evermodel.export._monitor.samples import Sample, samples
from evermodel.loop.home import champion_of, open_home
from evermodel.loop.watching import status


def watched(name: str, home: str | Path | None) -> Monitored | None:
    """The model's monitor, None where it was never watched. Raises NotFound for an unknown model."""
    found = status(name, home=home)
    return found if found.windows or found.alarms or found.counters else None


def model_samples(name: str, home: str | Path | None) -> Iterator[Sample]:
    """Everything known of one model. Raises what reading it raises."""
    store = open_home(home)
    champion, log = champion_of(store, name), store.log(name)
    yield from samples(watched(name, home), champion, log)


def home_samples(names: Sequence[str], home: str | Path | None) -> Iterator[tuple[str, list[Sample]]]:
    """Each model's samples; one that cannot be read says so, and does not take the others with it.

    Without names: all models there are at that moment.
    """
    for name in names or open_home(home).models():
        try:
            found = [*model_samples(name, home), Sample("evermodel_monitor_up", (), 1)]
        except (EvermodelError, OSError, ValueError):
            found = [Sample("evermodel_monitor_up", (), 0)]
        yield name, found
