"""The database itself, and names: every alias points at something that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evermodel.core.finding import Finding
from evermodel.core.store import Event, Move
from evermodel.loop._doctor.patient import Patient
from evermodel.loop._doctor.serving import loads
from evermodel.loop.home import event
from evermodel.loop.point import served_in_turn

ROOM, SHARE = 4_000_000, 0.25  # bytes and part of a database that may hold nothing
VERSIONED = re.compile(r"v[1-9][0-9]{0,8}")
BLOB = re.compile(r"[0-9a-f]{64}")


def database(patient: Patient) -> Iterator[Finding]:
    """The database's own check of its pages and indexes; every card and event can be read."""
    for said in patient.store.care.complaints():
        repair = "evermodel doctor --repair --from BACKUP"
        yield Finding("database", said, str(patient.store.home), "critical", repair)


def slack(patient: Patient) -> Iterator[Finding]:
    """A database that gave up much of what it held keeps the room; a person may want it back."""
    free, whole = patient.store.care.slack()
    if free > ROOM and free > SHARE * whole:
        said = f"{free / 1e6:,.1f} MB of its {whole / 1e6:,.1f} MB hold nothing"
        yield Finding("slack", said, str(patient.store.home), "note", "evermodel doctor --repair compacts it")


def mend_slack(patient: Patient) -> Iterator[tuple[str, str]]:
    for finding in slack(patient):
        patient.store.care.compact()
        yield finding.where, f"compacted: {finding.what}"


def aliases(patient: Patient) -> Iterator[Finding]:
    """Names of versions point at versions; a champion serves where there are versions that served before."""
    for name in patient.models():
        cards, names = patient.cards(name), patient.aliases(name)
        for alias, target in names.items():
            if BLOB.fullmatch(target):
                continue  # its file is looked at by the check of files
            if VERSIONED.fullmatch(target) and target in cards and "removed" not in cards[target]["facts"]:
                continue
            if not VERSIONED.fullmatch(target) and alias not in ("champion", "waiting"):
                continue  # what its owner noted there
            what = f"the {alias} points at {target[:20]}, which is not there"
            repair = f"evermodel doctor {name} --repair" if alias == "champion" else f"evermodel log {name}"
            yield Finding("names", what, f"{name} {alias}", "critical", repair)
        if cards and not names.keys() & {"champion", "waiting"} and served_in_turn(_log(patient, name)):
            repair = f"evermodel doctor {name} --repair puts back the newest that served and loads"
            yield Finding("names", "there is no champion, and there was one", name, "critical", repair)


def mend_champions(patient: Patient) -> Iterator[tuple[str, str]]:
    """Where the champion is gone or does not load: the newest version that served, or a parent, that loads."""
    for name in patient.models():
        cards, names = patient.cards(name), patient.aliases(name)
        now = names.get("champion")
        served = served_in_turn(_log(patient, name))
        if (now is None and not served) or (now in cards and loads(patient, name, str(now)) is None):
            continue
        parents = list(cards[now]["parents"]) if now in cards else []
        others = [v for v in (*reversed(served), *parents, *reversed(list(cards))) if v != now and v in cards]
        for version in dict.fromkeys(others):
            if "removed" not in cards[version]["facts"] and loads(patient, name, version) is None:
                facts = {"version": version, "was": now, "by": "doctor", "reasons": [f"{now} did not load"]}
                move = Move("champion", version, now)
                patient.store.point(name, [move], [event(name, "rolled back", facts)])
                yield f"{name} champion", f"{version}, which loads"
                break


def _log(patient: Patient, name: str) -> list[Event]:
    return patient.store.log(name)
