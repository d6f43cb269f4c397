"""Pushes a model's metrics to a Pushgateway, for jobs that end before they could be scraped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from evermodel.core.errors import AskedWrongly, NotDelivered
from evermodel.integrations.exposition import check_names
from evermodel.integrations.samples.collector import collector_registry, require_client
from evermodel.registry.results import Result

JOB = "model_performance"


@dataclass(frozen=True)
class PushResult(Result):
    """What was pushed, or deleted: one group a model."""

    models: tuple[str, ...]
    gateway: str
    job: str
    deleted: bool

    def lines(self) -> list[str]:
        action = "deleted from" if self.deleted else "pushed to"
        return [f"{action} {self.gateway}: job {self.job}, {', '.join(self.models) or 'no model'}"]


def push(
    *names: str,
    to: str,
    job: str = JOB,
    delete: bool = False,
    timeout: float = 10.0,
    registry: str | Path | None = None,
) -> PushResult:
    """Push these models' metrics (all of the registry where none is named) to the Pushgateway at the URL ``to``.

    Each model is a group of its own, ``job`` and ``model``, and a push replaces the whole group: a series that is gone
    here is gone there. ``delete`` removes the groups, for a model that is no longer in service. ``timeout`` in seconds.
    Raises NotFound, AskedWrongly, NotDelivered, MissingExtra.

        $ evermodel metrics churn --push http://localhost:9091
    """
    require_client()
    from prometheus_client import delete_from_gateway, push_to_gateway

    # A model that is gone from the registry can still be deleted from the Pushgateway.
    models = names if delete else check_names(names, registry)
    gateway = _check_url(to)
    for name in models:
        group = {"model": name}
        try:
            if delete:
                delete_from_gateway(gateway, job, group, timeout)
            else:
                push_to_gateway(gateway, job, collector_registry((name,), registry), group, timeout)
        except HTTPError as error:
            answer = error.read(300).decode(errors="replace").strip()
            raise NotDelivered(f"The Pushgateway at {gateway} refused {name}: {error.code} {answer}") from None
        except (URLError, OSError) as error:
            why = getattr(error, "reason", error)
            raise NotDelivered(
                f"The Pushgateway at {gateway} was not reached: {why}.", "Check that it runs there."
            ) from None
    return PushResult(models, gateway, job, delete)


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        is_valid = False
    if not is_valid:
        raise AskedWrongly(f"The Pushgateway must be a URL such as http://localhost:9091. Got {url!r}.")
    return url.rstrip("/")
