"""Every file that is needed is there, readable and what was stored; second copies have it too; nothing is left over."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from evermodel.core.errors import Damaged, EvermodelError, NotDelivered
from evermodel.core.files import digest_file
from evermodel.core.finding import Finding
from evermodel.core.upkeep import Needed
from evermodel.loop._doctor.patient import Patient, whole_copy
from evermodel.loop.gc import garbage

RIGHTS = "evermodel doctor --repair gives the owner the right to read and write again"


def whole(patient: Patient) -> Iterator[Finding]:
    """Files' hashes. A file that is damaged or gone is mended from a whole one, wherever there is one."""
    for needed in patient.needed():
        said = _wrong(patient, needed)
        if said is None:
            continue
        patient.broken.add(needed.digest)
        where = "/".join(needed.where) if needed.where else f"blob {needed.digest[:12]}"
        with whole_copy(patient, needed.digest) as source:
            repair = f"restore it from {source[1]}" if source else _lost(patient, needed)
        yield Finding("files", f"{needed.why}: {said}", where, "critical", repair)


def _wrong(patient: Patient, needed: Needed) -> str | None:
    try:
        at = patient.store.care.find(needed.digest, needed.where)
        if at is None:
            return "the file is gone"
        return None if digest_file(at) == needed.digest else "the file is not what was stored: its hash differs"
    except PermissionError:
        return "we have no right to read the file"
    except (OSError, NotDelivered) as error:
        return f"the file cannot be read ({getattr(error, 'strerror', None) or error})"


def _lost(patient: Patient, needed: Needed) -> str:
    if needed.where is None:
        return "none here: give a backup with --from"
    name, version, _ = needed.where
    if patient.aliases(name).get("champion") == version:
        return f"give a backup with --from, or: evermodel doctor --repair rolls {name} back to a version that loads"
    return f"give a backup with --from, or: evermodel reproduce {name} {version}"


def mend_files(patient: Patient) -> Iterator[tuple[str, str]]:
    """Puts whole files in place; yields (where, from where)."""
    for needed in patient.needed():
        if _wrong(patient, needed) is None:
            continue
        with whole_copy(patient, needed.digest) as source:
            if source is not None:
                patient.store.care.mend(needed.digest, needed.where, source[0])
                yield ("/".join(needed.where) if needed.where else f"blob {needed.digest[:12]}"), source[1]


def rights(patient: Patient) -> Iterator[Finding]:
    """The owner can read every file and write every folder. (As root everything can be read; the bits still count.)"""
    for at, wanted in _places(patient):
        mode = stat.S_IMODE(at.stat().st_mode)
        if mode & wanted != wanted:
            yield Finding("rights", f"its owner may not use it (mode {mode:o})", str(at), "critical", RIGHTS)


def mend_rights(patient: Patient) -> Iterator[tuple[str, str]]:
    for at, wanted in _places(patient):
        mode = stat.S_IMODE(at.stat().st_mode)
        if mode & wanted != wanted:
            at.chmod(mode | wanted)
            yield str(at), "chmod"


def _places(patient: Patient) -> Iterator[tuple[Path, int]]:
    for folder, inner, files in os.walk(patient.store.home):
        yield Path(folder), 0o700
        for name in files:
            yield Path(folder) / name, 0o400 if "versions" in folder or "blobs" in folder else 0o600
        for name in inner:
            yield Path(folder) / name, 0o700


def copies(patient: Patient) -> Iterator[Finding]:
    """Second copies have every needed file, whole."""
    for copy in patient.store.care.copies():
        try:
            there = {s.key: s.size for s in copy.stored()}
        except (EvermodelError, OSError, ValueError) as error:
            yield Finding("copies", f"cannot be listed ({type(error).__name__})", copy.shown, "warning", "Is it up?")
            continue
        wanted = {n.digest for n in patient.pointed.sure}
        lacking = len(wanted - set(there))
        if lacking:
            repair = "evermodel doctor --repair copies them there"
            yield Finding("copies", f"{lacking} of {len(wanted)} files are missing", copy.shown, "warning", repair)
        bad = [d for d in sorted(wanted & set(there)) if not _whole_in(patient, copy, d)]
        for digest in bad:
            repair = "evermodel doctor --repair copies it there again"
            yield Finding("copies", "the file is not what was stored", f"{copy.shown} {digest[:12]}", "warning", repair)


def _whole_in(patient: Patient, copy: object, digest: str) -> bool:
    try:
        copy.fetch(digest, patient.store.stage() / "seen")  # type: ignore[attr-defined]
    except (Damaged, NotDelivered):
        return False
    return True


def mend_copies(patient: Patient) -> Iterator[tuple[str, str]]:
    for copy in patient.store.care.copies():
        for needed in patient.pointed.sure:
            if _wrong(patient, needed) is None and not _whole_in(patient, copy, needed.digest):
                at = patient.store.care.find(needed.digest, needed.where)
                if at is not None:
                    copy.put(at, needed.digest)
                    yield f"{copy.shown} {needed.digest[:12]}", needed.why


def left_over(patient: Patient) -> Iterator[Finding]:
    """Files that nothing points at, older than the time that work in progress is left alone."""
    old = time.time() - patient.asked.grace
    for stored in patient.store.care.stored():
        if stored.written <= old and garbage(stored, patient.rows, patient.pointed):
            what = {"version": "a version's folder without a row", "blob": "a file that nothing points at"}
            said = what.get(stored.kind, "left over by a process that is gone")
            yield Finding("left over", said, str(stored.at), "warning", "evermodel doctor --repair, or evermodel gc")
