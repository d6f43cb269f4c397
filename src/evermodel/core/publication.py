"""Handing a version over to another serving system, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from evermodel.core.model.capabilities import Exportable
from evermodel.core.model.model import Model
from evermodel.core.plugins import FunctionKind


@dataclass(frozen=True)
class Publication:
    """A version to be handed over."""

    name: str
    version: str  # "v3"
    files: Path  # a folder with the model in its framework's own format, and its transform as JSON
    stored: Path  # the folder of the version in the registry: all that Evermodel itself needs to load it
    framework: str  # the name of its framework's plugin
    model: Model
    share: float | None = None  # of the requests, while a release of the version runs; None: all of them

    def export_model(self) -> Model:
        """The model; one that is made of several as one. Raises BadModel where that cannot be."""
        framework = self.model.framework
        return framework.export_model(self.model) if isinstance(framework, Exportable) else self.model


class Publisher(Protocol):
    """The function of a publisher plugin: puts a version where readers of ``to`` find it; returns where that is.

    Readers see the version before or this one, never a part of one. Publishing what is published changes nothing.
    Raises BadModel where the other system cannot read such a model, BadSetting for a ``to`` that is no place of its
    own, NotDelivered where the place cannot be written to; then readers see what they saw before.
    """

    __name__: str

    def __call__(self, publication: Publication, to: str, /) -> str: ...


class PublisherModule(Protocol):
    """The module of a publisher plugin."""

    __name__: str

    def find_published(self, name: str, to: str, /) -> str: ...  # the version that readers get now; "" without one


@runtime_checkable
class RequestSplitting(Protocol):
    """A publisher's module whose system gives one version a share of the requests, and the rest to the one before.

    While a release runs, it is given the version that is released, with its share.
    """

    SPLITS_REQUESTS: bool


PUBLISHERS: FunctionKind[Publisher, PublisherModule] = FunctionKind("publishers", PublisherModule)
