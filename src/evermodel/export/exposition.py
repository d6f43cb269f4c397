"""What a scrape would see, as text: the models' metrics in Prometheus's format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evermodel.export._monitor.collector import needs_client, registry_of
from evermodel.loop.home import champion_of, open_home
from evermodel.loop.results import Shown


@dataclass(frozen=True)
class Exposed(Shown):
    """The exposition of some models: ``text`` is what a server that scrapes would read."""

    models: tuple[str, ...]
    series: int
    text: str

    def lines(self) -> list[str]:
        return self.text.splitlines()


def expose(*names: str, home: str | Path | None = None) -> Exposed:
    """The metrics of these models (all of the home where none is named) in Prometheus's text format.

    What is not known has no series. Raises NotFound for an unknown model, MissingExtra without the extra ``monitor``.

        $ evermodel metrics churn --once
    """
    needs_client()
    from prometheus_client import generate_latest

    found = known(names, home)
    text = generate_latest(registry_of(found, home)).decode()
    series = sum(not line.startswith("#") for line in text.splitlines())
    return Exposed(found, series, text)


def known(names: tuple[str, ...], home: str | Path | None) -> tuple[str, ...]:
    """The names themselves, each a model of the home, or all there are. Raises NotFound."""
    store = open_home(home)
    for name in names:
        champion_of(store, name)
    return names or tuple(store.models())
