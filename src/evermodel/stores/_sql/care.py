"""The store's own care: one moment of all rows, what is stored, what is missing, and putting it back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from evermodel.core.errors import AskedWrongly
from evermodel.core.store import Card
from evermodel.core.upkeep import Rows, Stored, Where
from evermodel.stores._sql.cards import card_from_json, card_to_json
from evermodel.stores._sql.database import Database
from evermodel.stores._sql.folder import Folder
from evermodel.stores._sql.objects import Objects
from evermodel.stores._sql.remote import Remote
from evermodel.stores._sql.tables import TABLES, VERSIONS


class Care:
    """What ``gc``, ``backup`` and ``doctor`` ask of a store (core/upkeep.py)."""

    def __init__(self, database: Database, files: Folder | Remote, copies: Sequence[Objects]) -> None:
        self._database, self._files, self._copies = database, files, tuple(copies)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All tables at one moment: SQLite's snapshot of a reader, PostgreSQL's repeatable read."""
        with self._database.reading() as db:
            return {t.name: [dict(r) for r in db.execute(sa.select(t)).mappings()] for t in TABLES.sorted_tables}

    def load(self, rows: Rows) -> None:
        with self._database.writing("") as db:
            for table in TABLES.sorted_tables:
                if db.execute(sa.select(table).limit(1)).first() is not None:
                    raise AskedWrongly(f"{self._database.shown} is not empty ({table.name}).", "Name an empty place.")
                if rows.get(table.name):
                    db.execute(sa.insert(table), [dict(r) for r in rows[table.name]])
            if not self._database.sqlite:  # the next number is one more than the greatest we put
                _advance(db)

    def complaints(self) -> list[str]:
        """Of SQLite, every page and index; of any database, that every row can be read and every card parsed."""
        found = []
        with self._database.reading() as db:
            if self._database.sqlite:
                said = [str(r[0]) for r in db.execute(sa.text("PRAGMA integrity_check(20)"))]
                found += [line for line in said if line != "ok"]
            for table in TABLES.sorted_tables:
                for row in db.execute(sa.select(table)).mappings():
                    found += _unreadable(table.name, row)
        return found

    def slack(self) -> tuple[int, int]:
        """Only of SQLite: PostgreSQL sees to it itself."""
        if not self._database.sqlite:
            return 0, 0
        with self._database.reading() as db:
            free, pages, size = (
                int(db.exec_driver_sql(f"PRAGMA {what}").scalar_one())
                for what in ("freelist_count", "page_count", "page_size")
            )
        return free * size, pages * size

    def compact(self) -> None:
        self._database.compact()

    def drop_files(self, name: str, version: str, when: str) -> None:
        number = int(version[1:])
        at = (VERSIONS.c.name == name) & (VERSIONS.c.number == number)
        with self._database.writing(name) as db:
            card = card_from_json(db.scalars(sa.select(VERSIONS.c.card).where(at)).one())
            told = {**card.facts, "removed": when, "removed_files": dict(card.files)}
            bare: Card = dataclasses.replace(card, files={}, facts=told)
            db.execute(sa.update(VERSIONS).where(at).values(card=card_to_json(bare)))
        self._files.take_back(name, version)

    def find(self, digest: str, where: Where) -> Path | None:
        return self._files.find(digest, where)

    def mend(self, digest: str, where: Where, whole: Path) -> None:
        self._files.mend(digest, where, whole)

    def stored(self) -> Iterator[Stored]:
        return self._files.stored()

    def remove(self, found: Stored) -> None:
        self._files.remove(found)

    def copies(self) -> Sequence[Objects]:
        return self._copies


def _advance(db: sa.Connection) -> None:
    for table in TABLES.sorted_tables:
        for column in table.primary_key.columns:
            if column is table.autoincrement_column:
                top = db.scalar(sa.select(sa.func.max(column)))
                if top:
                    where = sa.func.pg_get_serial_sequence(table.name, column.name)
                    db.execute(sa.select(sa.func.setval(where, top)))


def _unreadable(table: str, row: Any) -> list[str]:
    column = {"versions": "card", "events": "facts"}.get(table)
    if column is None:
        return []
    try:
        card_from_json(row[column]) if table == "versions" else json.loads(row[column])
    except (ValueError, TypeError, KeyError) as error:
        return [f"{table}: the {column} of {row['name']} {row['number']} cannot be read ({error})"]
    return []
