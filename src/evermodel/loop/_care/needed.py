"""Which files the rows of a database need, surely or perhaps. What is perhaps needed is never thrown away."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import Damaged, NotDelivered
from evermodel.core.store import Event
from evermodel.core.upkeep import Needed, Rows

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
VERSION = re.compile(r"(?<![A-Za-z0-9])v[1-9][0-9]{0,8}(?![A-Za-z0-9])")
FIELDS = ("rows", "past", "blob", "aside")  # of a memory, of a monitor's state: what stands there is a stored file
DECISIONS = ("held", "promoted", "rejected", "set aside", "rolled back")
NEWEST = 50  # events of a model whose mentions count


@dataclass(frozen=True)
class Pointed:
    """``sure``: files that must be there. ``perhaps``: digests mentioned anywhere that counts. ``versions``: those
    that a name, a policy, a monitor or a recent decision mentions, by model."""

    sure: tuple[Needed, ...]
    perhaps: frozenset[str]
    versions: Mapping[str, frozenset[str]]

    @property
    def digests(self) -> frozenset[str]:
        return self.perhaps | {n.digest for n in self.sure}


def pointed(rows: Rows, blob: Callable[[str], Path]) -> Pointed:
    """What the rows point at. ``blob`` gives a stored file; it may raise Damaged or NotDelivered."""
    sure: list[Needed] = list(files_of_versions(rows))
    perhaps: set[str] = set()
    versions: dict[str, set[str]] = {}
    for name, text, why, named in _mentions(rows):
        versions.setdefault(name, set()).update(VERSION.findall(text))
        for digest in DIGEST.findall(text):
            if named:
                sure.append(Needed(digest, None, why))
            perhaps.add(digest)
            inner = _document(digest, blob)
            if inner is None:
                continue
            perhaps.update(DIGEST.findall(inner))
            if named:
                versions[name].update(VERSION.findall(inner))
                sure += [Needed(d, None, f"{why}, a part") for d in _parts(json.loads(inner))]
    sure += [Needed(e.facts["again"]["rows"], None, f"the rows that judged {e.name} {e.facts.get('version')} so far")
             for e in held(rows)]  # fmt: skip
    for e in held(rows):
        versions.setdefault(e.name, set()).add(str(e.facts.get("version")))
    unique = tuple(dict.fromkeys(n for n in sure if DIGEST.fullmatch(n.digest or "")))
    return Pointed(unique, frozenset(perhaps), {n: frozenset(v) for n, v in versions.items()})


def files_of_versions(rows: Rows) -> Iterator[Needed]:
    for row in rows["versions"]:
        card, version = json.loads(row["card"]), f"v{row['number']}"
        for path, digest in card["files"].items():
            yield Needed(digest, (row["name"], version, path), f"{row['name']} {version}")


def held(rows: Rows) -> Iterator[Event]:
    """The last decision of each model, where it held a challenger for a second look."""
    last: dict[str, Event] = {}
    for row in rows["events"]:
        if row["kind"] in DECISIONS:
            last[row["name"]] = Event(row["name"], row["kind"], row["at"], json.loads(row["facts"]), row["number"])
    for event in last.values():
        if event.kind == "held" and event.facts.get("again", {}).get("rows"):
            yield event


def _mentions(rows: Rows) -> Iterator[tuple[str, str, str, bool]]:
    """(model, text, why, whether it is a name) of everything whose mention of a file or a version counts."""
    for row in rows["aliases"]:
        yield row["name"], row["target"], f"the {row['alias']} of {row['name']}", True
    for row in rows["versions"]:
        card = json.loads(row["card"])
        if "removed" not in card["facts"]:
            yield row["name"], " ".join(str(d) for d in card["data"].values()), "a card", False
    newest: dict[str, list[str]] = {}
    for row in rows["events"]:
        newest.setdefault(row["name"], []).append(row["facts"])
    for name, facts in newest.items():
        yield name, " ".join(DIGEST.findall(" ".join(facts[-NEWEST:]))), "events", False
    for table in set(rows) - {"aliases", "versions", "events"}:
        for row in rows[table]:
            yield str(row.get("name", "")), json.dumps(row, default=str), f"a row of {table}", False


def _document(digest: str, blob: Callable[[str], Path]) -> str | None:
    """The text of a stored JSON document, packed or not; None of rows, and of what cannot be read."""
    try:
        data = blob(digest).read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
        return text if text[:1] in "{[" and json.loads(text) else None
    except (Damaged, NotDelivered, OSError, EOFError, ValueError):
        return None


def _parts(raw: Any, field: str = "") -> Iterator[str]:
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            yield from _parts(value, key)
    elif isinstance(raw, list):
        for value in raw:
            yield from _parts(value, field)
    elif isinstance(raw, str) and field in FIELDS and DIGEST.fullmatch(raw):
        yield raw
