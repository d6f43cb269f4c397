"""Hand the version in service over to another serving system."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.core.publication import PUBLISHERS, Publication, RequestSplitting
from evermodel.integrations.proxies.publish_split import PROXIES, publish_split
from evermodel.integrations.proxies.request_split import RequestSplit
from evermodel.registry.lookup import card_of, champion_of, open_store
from evermodel.registry.model_export import save
from evermodel.registry.predictions.staged_release import ReleasePhase, read_release
from evermodel.registry.results import Result
from evermodel.registry.versions import load_version


@dataclass(frozen=True)
class PublishResult(Result):
    """Where a version was published."""

    name: str
    version: str
    to: str
    where: str
    was: str  # the version that readers got before; "" without one
    share: float | None = None  # of the requests, where the version is released; None: all of them

    @property
    def changed(self) -> bool:
        """Whether readers get another version than before."""
        return self.was != self.version

    def lines(self) -> list[str]:
        """The version, where it is, and what was there before."""
        part = "" if self.share is None else f" for {100 * self.share:g} % of the requests"
        if not self.changed:
            return [f"{self.name} {self.version} is published already{part}: {self.where}"]
        before = f" (was {self.was})" if self.was else ""
        return [f"published {self.name} {self.version}{part}: {self.where}{before}"]


@dataclass(frozen=True)
class InService:
    """What a system that follows a registry should serve: the champion, and a version that a release tries."""

    champion: str
    released: str = ""  # "" where no release runs
    share: float | None = None


def read_service(name: str, *, registry: str | Path | None = None) -> InService:
    """What is in service now. Reads two aliases and no model."""
    store = open_store(registry)
    champion = champion_of(store, name).version
    _, release = read_release(store, name)
    if release is None or release.phase is not ReleasePhase.RUNNING:
        return InService(champion)
    return InService(champion, release.version, release.share)


def publish(
    name: str,
    *,
    to: str,
    version: str | None = None,
    proof: bool = True,
    registry: str | Path | None = None,
) -> PublishResult:
    """Hand a version (by default the champion) over to another serving system, whole or not at all.

    Args:
        name: the name of the model.
        to: the kind and the place: "folder:DIR", "tfserving:DIR", "triton:DIR", "mlflow:URI", "kserve:FILE@URI",
            "vllm:DIR", "gguf:FILE", or a kind that a plugin brings; "envoy:FILE@CLUSTER" and "nginx:FILE@PIDFILE" write
            how a proxy splits the requests of a running release.
        version: the version to publish, for example ``"v2"``. Without it ``kserve`` gets the version of a running
            release, with its share of the requests.
        proof: first load the model's file in a clean process and compare its answers with the version's.
        registry: the location of the registry.

    Raises:
        BadSetting: ``to`` is no kind and place.
        BadModel: the other system cannot read such a model, or the file does not answer as the version does.
        NotDelivered: the place cannot be written to; it is as it was.
        AskedWrongly: a proxy is to be told of another version than the one in service or in release.

    Example:
        $ evermodel publish churn --to folder:/srv/models
    """
    kind, colon, place = to.partition(":")
    if kind in PROXIES and place:
        return _publish_to_proxy(name, kind, place, to, version, registry)
    if not colon or not place or kind not in PUBLISHERS.names():
        kinds = ", ".join(f"{known}:…" for known in (*PUBLISHERS.names(), *PROXIES))
        raise BadSetting(f"`to` must be a kind and a place, one of {kinds}. Got {to!r}.", "For example folder:models.")
    store, share = open_store(registry), None
    module = PUBLISHERS.load_module(kind)
    if version is None and isinstance(module, RequestSplitting):
        service = read_service(name, registry=registry)
        version, share = service.released or None, service.share
    card = card_of(store, name, version)
    was = module.find_published(name, place)
    with tempfile.TemporaryDirectory(prefix="evermodel-publish-") as staged:
        files = Path(staged)
        if was != card.version:  # else it is there already, and the publisher only says where
            save(name, to=files, version=card.version, proof=proof, registry=registry)
        stored = store.version_folder(name, card.version)
        model = load_version(store, card)
        publication = Publication(name, card.version, files, stored, card.framework, model, share)
        where = PUBLISHERS.load(kind)(publication, place)
    return PublishResult(name, card.version, to, where, was, share)


def _publish_to_proxy(
    name: str, kind: str, place: str, to: str, version: str | None, registry: str | Path | None
) -> PublishResult:
    """Only what the registry says of requests is written: no model is loaded."""
    if version is not None:
        raise AskedWrongly(
            "A proxy is told of the version in service and of a running release.", "Leave `version` out."
        )
    service = read_service(name, registry=registry)
    split = RequestSplit(name, service.released or service.champion, service.share)
    where, was = publish_split(kind, split, place)
    return PublishResult(name, split.version, to, where, was, split.share)
