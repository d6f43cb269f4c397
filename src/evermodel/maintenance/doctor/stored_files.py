"""Every file that is needed is there, readable and what was stored; second copies have it too; nothing is left over."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from evermodel.core.errors import Damaged, EvermodelError, NotDelivered
from evermodel.core.files import digest_file
from evermodel.core.records.doctor_finding import Finding
from evermodel.core.store_upkeep import Needed
from evermodel.maintenance.doctor.target import DoctorTarget, find_whole_copy
from evermodel.registry.upkeep.gc import garbage

PERMISSION_HINT = "evermodel doctor --repair gives the owner the right to read and write again"


def check_hashes(target: DoctorTarget) -> Iterator[Finding]:
    """Files' hashes. A file that is damaged or gone is mended from a whole one, wherever there is one."""
    for needed in target.list_needed_files():
        said = _wrong(target, needed)
        if said is None:
            continue
        target.broken.add(needed.digest)
        where = "/".join(needed.where) if needed.where else f"blob {needed.digest[:12]}"
        with find_whole_copy(target, needed.digest) as source:
            repair = f"restore it from {source[1]}" if source else _lost(target, needed)
        yield Finding("files", f"{needed.why}: {said}", where, "critical", repair)


def _wrong(target: DoctorTarget, needed: Needed) -> str | None:
    try:
        at = target.store.upkeep.find(needed.digest, needed.where)
        if at is None:
            return "the file is gone"
        return None if digest_file(at) == needed.digest else "the file is not what was stored: its hash differs"
    except PermissionError:
        return "we have no right to read the file"
    except (OSError, NotDelivered) as error:
        return f"the file cannot be read ({getattr(error, 'strerror', None) or error})"


def _lost(target: DoctorTarget, needed: Needed) -> str:
    if needed.where is None:
        return "none here: give a backup with --from"
    name, version, _ = needed.where
    if target.aliases(name).get("champion") == version:
        return f"give a backup with --from, or: evermodel doctor --repair rolls {name} back to a version that loads"
    return f"give a backup with --from, or: evermodel reproduce {name} {version}"


def repair_files(target: DoctorTarget) -> Iterator[tuple[str, str]]:
    """Puts whole files in place; yields (where, from where)."""
    for needed in target.list_needed_files():
        if _wrong(target, needed) is None:
            continue
        with find_whole_copy(target, needed.digest) as source:
            if source is not None:
                target.store.upkeep.mend(needed.digest, needed.where, source[0])
                yield ("/".join(needed.where) if needed.where else f"blob {needed.digest[:12]}"), source[1]


def check_permissions(target: DoctorTarget) -> Iterator[Finding]:
    """The owner can read every file and write every folder. (As root everything can be read; the bits still count.)"""
    for at, wanted in _places(target):
        mode = stat.S_IMODE(at.stat().st_mode)
        if mode & wanted != wanted:
            yield Finding("rights", f"its owner may not use it (mode {mode:o})", str(at), "critical", PERMISSION_HINT)


def repair_permissions(target: DoctorTarget) -> Iterator[tuple[str, str]]:
    for at, wanted in _places(target):
        mode = stat.S_IMODE(at.stat().st_mode)
        if mode & wanted != wanted:
            at.chmod(mode | wanted)
            yield str(at), "chmod"


def _places(target: DoctorTarget) -> Iterator[tuple[Path, int]]:
    for folder, inner, files in os.walk(target.store.registry):
        yield Path(folder), 0o700
        for name in files:
            yield Path(folder) / name, 0o400 if "versions" in folder or "blobs" in folder else 0o600
        for name in inner:
            yield Path(folder) / name, 0o700


def check_second_copies(target: DoctorTarget) -> Iterator[Finding]:
    """Second copies have every needed file, whole."""
    for copy in target.store.upkeep.copies():
        try:
            there = {s.key: s.size for s in copy.list_stored()}
        except (EvermodelError, OSError, ValueError) as error:
            yield Finding("copies", f"cannot be listed ({type(error).__name__})", copy.shown, "warning", "Is it up?")
            continue
        wanted = {n.digest for n in target.references.required if copy.selects(n, target.rows)}
        for fault in copy.list_faults():
            repair = "evermodel doctor --repair makes it; where the rows were changed on purpose, remove the copy first"
            yield Finding("copies", fault, f"{copy.shown}: database", "warning", repair)
        lacking = len(wanted - set(there))
        if lacking:
            repair = "evermodel doctor --repair copies them there"
            yield Finding("copies", f"{lacking} of {len(wanted)} files are missing", copy.shown, "warning", repair)
        bad = [d for d in sorted(wanted & set(there)) if not _whole_in(target, copy, d)]
        for digest in bad:
            repair = "evermodel doctor --repair copies it there again"
            yield Finding("copies", "the file is not what was stored", f"{copy.shown} {digest[:12]}", "warning", repair)


def _whole_in(target: DoctorTarget, copy: object, digest: str) -> bool:
    try:
        copy.fetch(digest, target.store.staging_folder() / "seen")  # type: ignore[attr-defined]
    except (Damaged, NotDelivered):
        return False
    return True


def repair_second_copies(target: DoctorTarget) -> Iterator[tuple[str, str]]:
    for copy in target.store.upkeep.copies():
        for needed in target.references.required:
            if not copy.selects(needed, target.rows) or _wrong(target, needed) is not None:
                continue
            if not _whole_in(target, copy, needed.digest):
                at = target.store.upkeep.find(needed.digest, needed.where)
                if at is not None:
                    copy.put(at, needed.digest)
                    yield f"{copy.shown} {needed.digest[:12]}", needed.why


def find_orphaned_files(target: DoctorTarget) -> Iterator[Finding]:
    """Files that nothing points at, older than the time that work in progress is left alone."""
    old = time.time() - target.options.grace
    for stored in target.store.upkeep.list_stored():
        if stored.written <= old and garbage(stored, target.rows, target.references):
            what = {"version": "a version's folder without a row", "blob": "a file that nothing points at"}
            said = what.get(stored.kind, "left over by a process that is gone")
            yield Finding("left over", said, str(stored.at), "warning", "evermodel doctor --repair, or evermodel gc")
