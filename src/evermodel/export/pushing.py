"""Pushes a model's metrics to a Pushgateway, for jobs that end before anybody could scrape them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from evermodel.core.errors import AskedWrongly, NotDelivered
from evermodel.export._monitor.collector import needs_client, registry_of
from evermodel.export.exposition import known
from evermodel.loop.results import Shown

JOB = "model_performance"


@dataclass(frozen=True)
class Pushed(Shown):
    """What was pushed, or deleted: one group a model."""

    models: tuple[str, ...]
    gateway: str
    job: str
    deleted: bool

    def lines(self) -> list[str]:
        said = "deleted from" if self.deleted else "pushed to"
        return [f"{said} {self.gateway}: job {self.job}, {', '.join(self.models) or 'no model'}"]


def push(
    *names: str, to: str, job: str = JOB, delete: bool = False, timeout: float = 10.0, home: str | Path | None = None
) -> Pushed:
    """Push these models' metrics (all of the home where none is named) to the Pushgateway at the URL ``to``.

    Each model is a group of its own, ``job`` and ``model``, and a push replaces the whole group: a series that is gone
    here is gone there. ``delete`` removes the groups, for a model that is no longer in service. ``timeout`` in seconds.
    Raises NotFound, AskedWrongly, NotDelivered, MissingExtra.

        $ evermodel metrics churn --push http://localhost:9091
    """
    needs_client()
    from prometheus_client import delete_from_gateway, push_to_gateway

    found = names if delete else known(names, home)  # a model that is gone from the home can still be deleted there
    gateway = _checked(to)
    for name in found:
        group = {"model": name}
        try:
            if delete:
                delete_from_gateway(gateway, job, group, timeout)
            else:
                push_to_gateway(gateway, job, registry_of((name,), home), group, timeout)
        except HTTPError as error:
            said = error.read(300).decode(errors="replace").strip()
            raise NotDelivered(f"The Pushgateway at {gateway} refused {name}: {error.code} {said}") from None
        except (URLError, OSError) as error:
            why = getattr(error, "reason", error)
            raise NotDelivered(f"The Pushgateway at {gateway} was not reached: {why}.", "Does it run there?") from None
    return Pushed(found, gateway, job, delete)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        right = False
    if not right:
        raise AskedWrongly(f"--push takes a URL such as http://localhost:9091. Got {url!r}.")
    return url.rstrip("/")
