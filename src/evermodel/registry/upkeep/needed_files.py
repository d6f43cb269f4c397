"""Which files the rows of a database require, and which they mention. Neither kind is ever deleted."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evermodel.core.errors import Damaged, NotDelivered
from evermodel.core.records.event import Decided, Event, EventKind, HeldEvidence, decode_event, replace_evidence
from evermodel.core.records.version_card import VersionCard, decode_card
from evermodel.core.store_upkeep import Needed, Rows

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
VERSION = re.compile(r"(?<![A-Za-z0-9])v[1-9][0-9]{0,8}(?![A-Za-z0-9])")
# Fields of a memory of rows and of a monitor's state that name a stored file:
FIELDS = ("rows", "past", "blob", "quarantined")
DECISIONS = (  # a quarantine decides nothing: a held challenger goes on waiting
    EventKind.HELD,
    EventKind.PROMOTED,
    EventKind.PROMOTED_BY_HAND,
    EventKind.RELEASED,
    EventKind.APPROVED,
    EventKind.REJECTED,
    EventKind.ROLLED_BACK,
)
MOST = 256_000_000  # bytes of a document; a monitor's state has at most some millions
NEWEST = 50  # events of a model whose mentions count


@dataclass(frozen=True)
class FileReferences:
    """The files and versions that a registry's rows point at.

    ``required``: files that must exist. ``mentioned``: digests that appear anywhere that counts. ``versions``: model ->
    versions that an alias, a policy, a monitor or a recent decision mentions.
    """

    required: tuple[Needed, ...]
    mentioned: frozenset[str]
    versions: Mapping[str, frozenset[str]]

    @property
    def digests(self) -> frozenset[str]:
        return self.mentioned | {n.digest for n in self.required}


def find_references(rows: Rows, blob: Callable[[str], Path]) -> FileReferences:
    """What the rows point at. ``blob`` gives a stored file; it may raise Damaged or NotDelivered."""
    required: list[Needed] = list(files_of_versions(rows))
    mentioned: set[str] = set()
    versions: dict[str, set[str]] = {}
    for name, text, why, named in _mentions(rows):
        versions.setdefault(name, set()).update(VERSION.findall(text))
        for digest in DIGEST.findall(text):
            if named:
                required.append(Needed(digest, None, why))
            mentioned.add(digest)
            inner = _document(digest, blob)
            if inner is None:
                continue
            mentioned.update(DIGEST.findall(inner))
            if named:
                versions[name].update(VERSION.findall(inner))
                required += [Needed(d, None, f"{why}, a part") for d in _parts(json.loads(inner))]
    for name, version, evidence in list_held_evidence(rows):
        required.append(Needed(evidence.rows, None, f"the rows that judged {name} {version} so far"))
        versions.setdefault(name, set()).add(version)
    unique = tuple(dict.fromkeys(n for n in required if DIGEST.fullmatch(n.digest or "")))
    return FileReferences(unique, frozenset(mentioned), {n: frozenset(v) for n, v in versions.items()})


def read_cards(rows: Rows) -> Iterator[VersionCard]:
    """All version cards, of any model. Raises Damaged."""
    for row in rows["versions"]:
        yield decode_card(row["card"], row["name"], row["number"])


def files_of_versions(rows: Rows) -> Iterator[Needed]:
    for card in read_cards(rows):
        for path, digest in card.files.items():
            yield Needed(digest, (card.name, card.version, path), f"{card.name} {card.version}")


def list_held_evidence(rows: Rows) -> Iterator[tuple[str, str, HeldEvidence]]:
    """(model, version, rows that judged it) of each model whose last decision held a challenger for a second look."""
    last: dict[str, Event] = {}
    deletions: list[Event] = []
    for row in rows["events"]:
        if row["kind"] in (*DECISIONS, EventKind.ROWS_DELETED):
            event = decode_event(row["name"], row["kind"], row["at"], row["data"], row["number"])
            if event.kind is EventKind.ROWS_DELETED:
                deletions.append(event)
            else:
                last[row["name"]] = event
    for event in last.values():
        if isinstance(event.data, Decided) and event.data.held is not None:
            held = event.data.held
            blob = replace_evidence([e for e in deletions if e.name == event.name], held.rows)
            if blob:
                yield event.name, event.version, replace(held, rows=blob)


def _mentions(rows: Rows) -> Iterator[tuple[str, str, str, bool]]:
    """(model, text, why, whether it is a name) of everything whose mention of a file or a version counts."""
    for row in rows["aliases"]:
        yield row["name"], row["target"], f"the {row['alias']} of {row['name']}", True
    for card in read_cards(rows):
        if not card.removed:
            yield card.name, " ".join(card.data.values()), "a card", False
    newest: dict[str, list[str]] = {}
    for row in rows["events"]:
        newest.setdefault(row["name"], []).append(row["data"])
    for name, texts in newest.items():
        yield name, " ".join(DIGEST.findall(" ".join(texts[-NEWEST:]))), "events", False
    for table in set(rows) - {"aliases", "versions", "events"}:
        for row in rows[table]:
            yield str(row.get("name", "")), json.dumps(row, default=str), f"a row of {table}", False


def _document(digest: str, blob: Callable[[str], Path]) -> str | None:
    """The text of a stored JSON document, packed or not; None of rows, and of what cannot be read."""
    try:
        data = blob(digest).read_bytes()
        text = (_unpack(data) if data[:2] == b"\x1f\x8b" else data).decode()
        return text if text[:1] in "{[" and json.loads(text) else None
    except (Damaged, NotDelivered, OSError, zlib.error, ValueError, RecursionError):
        return None


def _unpack(data: bytes) -> bytes:
    """A stranger's backup may hold a document that unpacks to more than there is memory: beyond ``MOST`` it is none."""
    unpacking = zlib.decompressobj(wbits=31)
    text = unpacking.decompress(data, MOST)
    if not unpacking.eof:
        raise ValueError("The document is cut, or too large.")
    return text


def _parts(raw: Any, field: str = "") -> Iterator[str]:
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            yield from _parts(value, key)
    elif isinstance(raw, list):
        for value in raw:
            yield from _parts(value, field)
    elif isinstance(raw, str) and field in FIELDS and DIGEST.fullmatch(raw):
        yield raw
