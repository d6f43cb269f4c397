"""The database itself, and names: every alias points at something that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evermodel.core.records.doctor_finding import Finding
from evermodel.core.records.event import Actor, ChampionMoved, Event, EventKind
from evermodel.core.store import Move
from evermodel.maintenance.doctor.serving import find_loading_error
from evermodel.maintenance.doctor.target import DoctorTarget
from evermodel.registry.lookup import event
from evermodel.registry.promotion import list_served_versions

ROOM, SHARE = 4_000_000, 0.25  # bytes and part of a database that may hold nothing
VERSIONED = re.compile(r"v[1-9][0-9]{0,8}")
BLOB = re.compile(r"[0-9a-f]{64}")


def check_database(target: DoctorTarget) -> Iterator[Finding]:
    """The database's own check of its pages and indexes; every card and event can be read."""
    for said in target.store.upkeep.complaints():
        repair = "evermodel doctor --repair takes the registry's second copy of it; --from BACKUP takes a backup's"
        yield Finding("database", said, str(target.store.registry), "critical", repair)


def check_unused_space(target: DoctorTarget) -> Iterator[Finding]:
    """A database that gave up much of what it held keeps the room; a person may want it back."""
    free, whole = target.store.upkeep.slack()
    if free > ROOM and free > SHARE * whole:
        said = f"{free / 1e6:,.1f} MB of its {whole / 1e6:,.1f} MB hold nothing"
        yield Finding("slack", said, str(target.store.registry), "note", "evermodel doctor --repair compacts it")


def compact_database(target: DoctorTarget) -> Iterator[tuple[str, str]]:
    for finding in check_unused_space(target):
        target.store.upkeep.compact()
        yield finding.where, f"compacted: {finding.what}"


def check_aliases(target: DoctorTarget) -> Iterator[Finding]:
    """Names of versions point at versions; a champion serves where there are versions that served before."""
    for name in target.models():
        cards, names = target.cards(name), target.aliases(name)
        for alias, value in names.items():
            if BLOB.fullmatch(value):
                continue  # the check of files reads that file
            if VERSIONED.fullmatch(value) and value in cards and not cards[value].removed:
                continue
            if not VERSIONED.fullmatch(value) and alias not in ("champion", "waiting"):
                continue  # an alias of the owner's, with a text of the owner's
            what = f"the {alias} points at {value[:20]}, which is not there"
            repair = f"evermodel doctor {name} --repair" if alias == "champion" else f"evermodel log {name}"
            yield Finding("names", what, f"{name} {alias}", "critical", repair)
        if cards and not names.keys() & {"champion", "waiting"} and list_served_versions(_log(target, name)):
            repair = f"evermodel doctor {name} --repair puts back the newest that served and loads"
            yield Finding("names", "there is no champion, and there was one", name, "critical", repair)


def repair_champions(target: DoctorTarget) -> Iterator[tuple[str, str]]:
    """Where the champion is gone or does not load: the newest version that served, or a parent, that loads."""
    for name in target.models():
        cards, names = target.cards(name), target.aliases(name)
        now = names.get("champion")
        served = list_served_versions(_log(target, name))
        if (now is None and not served) or (now in cards and find_loading_error(target, name, str(now)) is None):
            continue
        parents = list(cards[now].parents) if now in cards else []
        others = [v for v in (*reversed(served), *parents, *reversed(list(cards))) if v != now and v in cards]
        for version in dict.fromkeys(others):
            if not cards[version].removed and find_loading_error(target, name, version) is None:
                moved = ChampionMoved(version, str(now or ""), Actor.DOCTOR, (f"{now} did not load",))
                move = Move("champion", version, now)
                target.store.commit_moves(name, [move], [event(name, EventKind.ROLLED_BACK, moved)])
                yield f"{name} champion", f"{version}, which loads"
                break


def _log(target: DoctorTarget, name: str) -> list[Event]:
    return target.store.read_events(name)
