"""The store's own care: one moment of all rows, what is stored, what is missing, and putting it back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from evermodel.core.errors import AskedWrongly, BadSetting, Damaged
from evermodel.core.records.codec import encode
from evermodel.core.records.event import decode_event
from evermodel.core.records.version_card import VERSION_CARD, decode_card
from evermodel.core.store_upkeep import Rows, Stored, Where
from evermodel.plugins.stores._sql.champion_copies import ChampionCopies
from evermodel.plugins.stores._sql.database import Database
from evermodel.plugins.stores._sql.folder_files import Folder
from evermodel.plugins.stores._sql.object_files import Objects
from evermodel.plugins.stores._sql.remote_files import Remote
from evermodel.plugins.stores._sql.tables import EVENTS, TABLES, VERSIONS, check_types


class SqlUpkeep:
    """What ``gc``, ``backup`` and ``doctor`` ask of a store (core/store_upkeep.py)."""

    def __init__(
        self,
        database: Database,
        files: Folder | Remote,
        copies: Sequence[Objects],
        champions: ChampionCopies | None = None,
    ) -> None:
        self._database, self._files, self._champions = database, files, champions
        self._copies: tuple[Objects | ChampionCopies, ...] = tuple(copies)
        if champions is not None and champions.keeps_files:
            self._copies += (champions,)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All tables at one moment: SQLite's snapshot of a reader, PostgreSQL's repeatable read."""
        with self._database.reading() as db:
            return {
                t.name: [check_types(t, r) for r in db.execute(sa.select(t)).mappings()] for t in TABLES.sorted_tables
            }

    def load(self, rows: Rows) -> None:
        with self._database.writing("") as db:
            for table in TABLES.sorted_tables:
                if db.execute(sa.select(table).limit(1)).first() is not None:
                    raise AskedWrongly(f"{self._database.shown} is not empty ({table.name}).", "Name an empty place.")
                if rows.get(table.name):
                    db.execute(sa.insert(table), [dict(r) for r in rows[table.name]])
            if not self._database.sqlite:  # the next number is one more than the greatest we put
                _advance(db)
        for row in rows["aliases"]:
            if row["alias"] == "champion" and self._champions is not None:
                card = next(
                    decode_card(v["card"], v["name"], v["number"])
                    for v in rows["versions"]
                    if (v["name"], f"v{v['number']}") == (row["name"], row["target"])
                )
                self._champions.keep(self._champions.registry / "versions" / card.name / card.version, card.files)
        self.refresh_copies()

    def refresh_copies(self) -> None:
        """Copies the database again, where a second copy of it is kept."""
        if self._champions is not None:
            self._champions.keep_database(self._database, champion_moved=True)

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
            card = decode_card(db.scalars(sa.select(VERSIONS.c.card).where(at)).one(), name, number)
            card = dataclasses.replace(card, files={}, removed=when, removed_files=dict(card.files))
            db.execute(sa.update(VERSIONS).where(at).values(card=encode(VERSION_CARD, card)))
        self._files.take_back(name, version)

    def find(self, digest: str, where: Where) -> Path | None:
        return self._files.find(digest, where)

    def mend(self, digest: str, where: Where, whole: Path) -> None:
        self._files.mend(digest, where, whole)

    def list_stored(self) -> Iterator[Stored]:
        return self._files.list_stored()

    def remove(self, found: Stored) -> None:
        self._files.remove(found)

    def copies(self) -> Sequence[Objects | ChampionCopies]:
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
    try:
        check_types(TABLES.tables[table], row)
        if table == VERSIONS.name:
            decode_card(row["card"], row["name"], row["number"])
        elif table == EVENTS.name:
            decode_event(row["name"], row["kind"], row["at"], row["data"], row["number"])
    except (Damaged, BadSetting) as error:
        return [f"{table}: {error.message}"]
    return []
