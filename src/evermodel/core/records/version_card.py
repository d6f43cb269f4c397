"""What is kept about one version of a model."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.errors import Damaged
from evermodel.core.records.adoption_record import AdoptionRecord
from evermodel.core.records.codec import RecordKind, decode
from evermodel.core.records.data_profile import DataProfile
from evermodel.core.records.model_signature import ModelSignature
from evermodel.core.records.update_record import UpdateRecord


@dataclass(frozen=True)
class VersionCard:
    """Where a version came from, what it was made with, and how it was judged.

    ``adoption`` is set where the version was adopted, ``update`` where it was made from another version.
    """

    name: str
    version: str  # "v1", "v2", …; "" until it is put
    parents: tuple[str, ...] = ()
    strategy: str = "adopt"  # the plugin that made it
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    framework: str = ""
    created: str = ""  # ISO 8601, UTC
    data: Mapping[str, str] = field(default_factory=dict)  # "reference", "new": source; "memory": digest
    packages: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # path inside the version -> SHA-256
    source: str = ""  # name of the file that the first version was adopted from; "" of a live object
    source_digest: str = ""
    shuffled: bool = False  # the order of rows means nothing
    reference_is_stand_in: bool = False  # adopted without training rows: the oldest new rows stood in for them
    adoption: AdoptionRecord | None = None
    update: UpdateRecord | None = None
    signature: ModelSignature | None = None  # of a model with named inputs
    profile: DataProfile | None = None  # of the rows that this version came with
    removed: str = ""  # when 'evermodel gc' removed the files; ISO 8601, UTC
    removed_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def decision(self) -> str:
        """What was decided on this version; "" of an adopted one."""
        return self.update.decision.value if self.update is not None else ""

    @property
    def known_scores(self) -> Mapping[str, float]:
        """Metric -> the version's score on the newest rows it was judged on, else on the reference rows; no NaN."""
        scores = self.adoption.scores if self.adoption is not None else {}
        if self.update is not None:
            scores = {metric: score.challenger for metric, score in self.update.scores.get("new", {}).items()}
        return {metric: value for metric, value in scores.items() if math.isfinite(value)}


VERSION_CARD = RecordKind("version card", VersionCard)
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*")  # of a file inside a version's folder
DIGEST = re.compile(r"[0-9a-f]{64}")


def decode_card(text: str | bytes, name: str, number: int | str) -> VersionCard:
    """The card in the row of version ``number`` of ``name``: it must be that version's, with files inside its folder.

    Raises Damaged, naming the version; BadSetting where a newer release wrote it.
    """
    card, fault = decode(VERSION_CARD, text, f"{name} v{number}"), ""
    if (card.name, card.version) != (name, f"v{number}"):
        fault = f"it is that of {card.name[:60]!r} {card.version[:20]!r}"
    for path, digest in {**card.files, **card.removed_files}.items():
        if not PATH.fullmatch(path) or ".." in path.split("/"):
            fault = f"it names a file by the path {path[:60]!r}"
        elif not DIGEST.fullmatch(digest):
            fault = f"the digest of {path[:60]!r} is no SHA-256"
    try:
        dt.datetime.fromisoformat(card.created or "2000-01-01")
    except ValueError:
        fault = f"it was created at {card.created[:60]!r}, which is no time"
    if fault:
        raise Damaged(
            f"The version card of {name} v{number} cannot be used: {fault}.", "'evermodel doctor' says what helps."
        )
    return card
