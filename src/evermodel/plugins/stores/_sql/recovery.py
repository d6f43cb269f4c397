"""Mends a SQLite database that cannot be used from the registry's second copy of it: its bad rows, or all of it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import uuid
from collections.abc import Sequence
from pathlib import Path

from evermodel.core.errors import BadSetting, Damaged
from evermodel.core.files import disk_space, sync_file, sync_folder
from evermodel.core.records.event import decode_event
from evermodel.core.records.version_card import decode_card
from evermodel.plugins.stores._sql.database import DATABASE_NAME

Cell = bytes | int | float | None  # texts are read as bytes: they may be no UTF-8
READ = {
    "versions": "SELECT name, number, card FROM versions ORDER BY name, number",
    "events": "SELECT name, number, kind, at, data FROM events ORDER BY number",
}


def mend_rows(registry: Path, copy: Path) -> int | None:
    """Versions never change and events are only added: where one cannot be read, its row in the copy is right.

    Returns how many rows were put back; None, having changed nothing, where the database itself cannot be read, or a
    bad row is not in the copy.
    """
    try:
        with contextlib.closing(sqlite3.connect(registry / DATABASE_NAME, isolation_level=None)) as db:
            db.text_factory = bytes
            if [line for (line,) in db.execute("PRAGMA integrity_check(1)")] != [b"ok"]:
                return None
            db.execute("ATTACH ? AS copy", (str(copy),))
            db.execute("BEGIN IMMEDIATE")
            bad = [
                (table, row[:2]) for table, text in READ.items() for row in db.execute(text) if not _is_readable(row)
            ]
            for table, key in bad:
                where = "WHERE CAST(name AS TEXT) = CAST(? AS TEXT) AND number = ?"
                if db.execute(f"SELECT 1 FROM copy.{table} {where}", key).fetchone() is None:  # noqa: S608 - ours
                    db.execute("ROLLBACK")
                    return None
                db.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM copy.{table} {where}", key)  # noqa: S608 - ours
            db.execute("COMMIT")
            return len(bad) or None
    except sqlite3.Error:
        return None


def _is_readable(row: Sequence[Cell]) -> bool:
    try:
        texts = [cell.decode() if isinstance(cell, bytes) else cell for cell in row]
        if len(texts) == 3:
            decode_card(str(texts[2]), str(texts[0]), int(texts[1] or 0))
        else:
            decode_event(str(texts[0]), str(texts[2]), str(texts[3]), str(texts[4]), int(texts[1] or 0))
    except (Damaged, BadSetting, UnicodeDecodeError, ValueError):
        return False
    return True


def replace_database(registry: Path, whole: Path | None) -> None:
    """Puts the database aside, with its log; ``whole`` is copied into its place."""
    at = registry / DATABASE_NAME
    new = at.with_name(f".{uuid.uuid4().hex}")
    if whole is not None:
        with disk_space(at):
            shutil.copyfile(whole, new)
            new.chmod(0o600)
            sync_file(new)
    for end in ("", "-wal", "-shm"):
        part = at.with_name(at.name + end)
        if part.exists():
            part.replace(part.with_name(f"{at.name}.broken{end}"))
    if whole is not None:
        new.replace(at)
    sync_folder(registry)
