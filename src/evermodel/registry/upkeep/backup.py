"""Backup and restore: the rows of one moment, and every file they need, while others go on working."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import AskedWrongly, BadData, Damaged, NotDelivered
from evermodel.core.files import digest_file, sync_file
from evermodel.core.records.event import decode_event
from evermodel.core.records.version_card import decode_card
from evermodel.core.store import Store
from evermodel.core.store_upkeep import Needed
from evermodel.registry.lookup import check_name, now, open_store, registry_folder
from evermodel.registry.results import Result
from evermodel.registry.upkeep import archive
from evermodel.registry.upkeep.needed_files import FileReferences, find_references

logger = logging.getLogger(__name__)
TRIES = 20  # of taking rows whose files are all still there: a monitor throws its former state away


@dataclass(frozen=True)
class BackupResult(Result):
    """``lacking``: what the rows need and was nowhere whole; the backup is good but for these."""

    to: str
    models: tuple[str, ...]
    versions: int
    events: int
    files: int
    bytes: int
    lacking: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        head = f"{self.to}: {len(self.models)} models, {self.versions} versions, {self.events} events, "
        size = f"{self.files} files, {self.bytes / 1e6:,.1f} MB"
        return [head + size, *(f"  lacks  {x}" for x in self.lacking)]


@dataclass(frozen=True)
class RestoreResult(Result):
    """A registry as it was when the backup was made."""

    registry: str
    made: str
    models: tuple[str, ...]
    versions: int
    files: int
    lacking: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        return [
            f"{self.registry}: as of {self.made}: {len(self.models)} models, {self.versions} versions, "
            f"{self.files} files",
            *(f"  lacks  {x}" for x in self.lacking),
        ]


def backup(*, to: str | Path, registry: str | Path | None = None) -> BackupResult:
    """Write everything that a registry's names, versions and events need into a folder, or a .tar or .tar.gz file.

    Others may go on working: the rows are those of one moment, their files are copied afterwards and checked by hash.
    Appears whole or not at all. Raises BadSetting where ``to`` is there already, OutOfSpace.

        $ evermodel backup --to /backups/models.tar
    """
    target = Path(to).expanduser()
    store = open_store(registry)
    with archive.writing(target) as folder:
        rows, found, lacking = _taken(store, folder)
        wanted = found.digests
        for left in (folder / "files").glob("??/*"):
            if left.name not in wanted:
                left.unlink()
        files = list((folder / "files").glob("??/*"))
        models = tuple(sorted({r["name"] for r in rows["aliases"]}))
        size = sum(f.stat().st_size for f in files)
        summary = {"made": now(), "models": models, "files": len(files), "bytes": size, "lacking": lacking}
        archive.write_rows(folder, rows, summary)
    return BackupResult(str(target), models, len(rows["versions"]), len(rows["events"]), len(files), size, lacking)


def _taken(store: Store, folder: Path) -> tuple[dict[str, list[dict[str, Any]]], FileReferences, tuple[str, ...]]:
    """Rows whose files were all copied; or, where nothing moved and some are gone still, those and what is lacking."""
    before: object = None
    for _ in range(TRIES):
        rows = store.upkeep.rows()
        found = find_references(rows, store.get_blob)
        lacking = tuple(f"{n.why}: {_said(n)}" for n in found.required if not _copied(store, n, folder))
        for digest in found.mentioned:
            _copied(store, Needed(digest, None, ""), folder)
        if not lacking or rows["aliases"] == before:
            break
        before = rows["aliases"]
    return rows, found, lacking


def _said(needed: Needed) -> str:
    return needed.where[2] if needed.where else needed.digest[:12]


def _copied(store: Store, needed: Needed, folder: Path) -> bool:
    to = archive.file_in(folder, needed.digest)
    if to.is_file():
        return True
    to.parent.mkdir(exist_ok=True)
    with suppress(FileNotFoundError, PermissionError, NotDelivered):
        at = store.upkeep.find(needed.digest, needed.where)
        if at is not None:
            shutil.copyfile(at, to)
            if digest_file(to) == needed.digest:
                sync_file(to)
                return True
            to.unlink()
    if needed.why:
        for copy in store.upkeep.copies():
            with suppress(Damaged, NotDelivered):
                copy.fetch(needed.digest, to)
                return True
    return False


def restore(source: str | Path, *, to: str | Path) -> RestoreResult:
    """Make a registry of a backup. ``to`` is a new or empty folder; a ``store.toml`` in it says another place than it.

    Every file is checked by its hash. The names are written last: what was interrupted is an empty registry with files
    that nothing points at. Raises BadData, AskedWrongly where the place is not empty.

        $ evermodel restore /backups/models.tar --to /srv/models
    """
    registry = registry_folder(to)
    if registry.exists() and (not registry.is_dir() or {p.name for p in registry.iterdir()} - {"store.toml"}):
        raise AskedWrongly(f"{registry} is not an empty folder.", "Name a new folder.")
    registry.parent.mkdir(parents=True, exist_ok=True)
    where = tempfile.TemporaryDirectory(prefix=".restoring-", dir=registry.parent)
    with where as scratch, archive.reading(Path(source).expanduser(), Path(scratch)) as folder:
        rows, told = archive.read_rows(folder)
        check_rows(rows)
        store = open_store(registry)
        files, lacking = _put_back(store, rows, folder)
        store.upkeep.load(rows)
    models = tuple(sorted({r["name"] for r in rows["aliases"]}))
    return RestoreResult(str(registry), told.get("made", ""), models, len(rows["versions"]), files, lacking)


def _put_back(
    store: Store, rows: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path
) -> tuple[int, tuple[str, ...]]:
    def blob(digest: str) -> Path:
        found = archive.whole_file(folder, digest)
        if found is None:
            raise Damaged(f"The backup has no whole file {digest[:12]}.")
        return found

    found = find_references(rows, blob)
    named = {n.digest for n in found.required if n.where is None}
    perhaps = [Needed(d, None, "") for d in found.mentioned - named]
    done, lacking = 0, []
    for needed in (*found.required, *perhaps):
        whole = archive.whole_file(folder, needed.digest)
        if whole is not None:
            store.upkeep.mend(needed.digest, needed.where, whole)
            done += 1
        elif needed.why:
            lacking.append(f"{needed.why}: {_said(needed)}")
    return done, tuple(lacking)


def check_rows(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Raises BadData where a row would become a path outside its folder, or is no record: it may be a stranger's."""
    if not {"versions", "aliases", "events"} <= set(rows):
        raise BadData("The backup lacks a table.", "Give another backup.")
    try:
        for row in rows["versions"]:
            decode_card(row["card"], check_name(row["name"]), int(row["number"]))
        for row in rows["aliases"]:
            check_name(row["name"])
        for row in rows["events"]:
            check_name(row["name"])
            decode_event(row["name"], row["kind"], row["at"], row["data"], row["number"])
    except (KeyError, TypeError, ValueError) as error:
        logger.info("The rows of a backup were refused.", exc_info=True)
        raise BadData(f"The rows of the backup are not what we write ({error!r}).", "Give another backup.") from None
    except (AskedWrongly, Damaged) as error:
        raise BadData(f"The backup holds a row that we never write. {error.message}", "Give another backup.") from None


def restore_rows(store: Store, source: Path) -> None:
    """The rows of a backup into the empty database of a registry whose files are there. For the doctor."""
    with tempfile.TemporaryDirectory() as scratch, archive.reading(source, Path(scratch)) as folder:
        rows, _ = archive.read_rows(folder)
        check_rows(rows)
        store.upkeep.load(rows)
