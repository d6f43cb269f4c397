"""Second copies of what a registry cannot do without, in the registry itself: the champions' files and the database.

A file that was flipped, cut or deleted is mended from its copy by the doctor, without a backup and without a person.
Copies follow the champion: they are made before it goes into service, and those of the former one go afterwards. A
copy that cannot be written does not stop the work; the doctor says what is lacking.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import sqlalchemy as sa

from evermodel.core.errors import Damaged, EvermodelError
from evermodel.core.files import digest_file, disk_space, sync_file, sync_folder
from evermodel.core.store_upkeep import Needed, Rows, Stored
from evermodel.plugins.stores._sql.database import DATABASE_NAME, Database

logger = logging.getLogger(__name__)
SMALL = 8_000_000  # bytes of a database that is copied after every change
PAUSE = 600.0  # seconds between copies of a larger one, unless a champion moved
CHANGED = """
    SELECT (SELECT count(*) FROM versions n JOIN former.versions f USING (name, number)
            WHERE n.card IS NOT f.card AND n.card NOT LIKE '%"removed": "2%')
         + (SELECT count(*) FROM events n JOIN former.events f USING (number)
            WHERE (n.name, n.kind, n.at, n.data) IS NOT (f.name, f.kind, f.at, f.data))
"""  # versions never change, but for files that gc removed, and events are only added
CHAMPION_CARDS = """
    SELECT v.card FROM versions v
    JOIN aliases a ON a.name = v.name AND a.alias = 'champion' AND a.target = 'v' || v.number
"""


class ChampionCopies:
    """``copies/ab/abcdef…`` for every file of a champion, ``copies/database/SHA-256`` for the SQLite database.

    ``keeps_files``: whether champions' files are kept here; not where the user named other places for second copies.
    """

    def __init__(self, registry: Path, *, keeps_files: bool) -> None:
        self.registry = registry
        self.root = registry / "copies"
        self.shown = "the registry's second copies"
        self.keeps_files = keeps_files

    def selects(self, needed: Needed, rows: Rows) -> bool:
        """Whether a file is to be kept here: of champions only."""
        champions = {(r["name"], r["target"]) for r in rows["aliases"] if r["alias"] == "champion"}
        return self.keeps_files and needed.where is not None and needed.where[:2] in champions

    # -- files ------------------------------------------------------------------------------------------------------
    def keep(self, folder: Path, files: Mapping[str, str]) -> None:
        """Copies the files of the version in ``folder`` (path -> SHA-256) that are not here yet."""
        if not self.keeps_files:
            return
        try:
            for path, digest in files.items():
                if not self._path(digest).is_file():
                    self.put(folder / path, digest)
        except (OSError, EvermodelError) as error:
            logger.warning("No second copy of %s was made (%s).", folder, error)
            logger.info("Copying failed.", exc_info=True)

    def put(self, file: Path, digest: str) -> None:
        to = self._path(digest)
        new = to.with_name(f".{uuid.uuid4().hex}")
        with disk_space(to):
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                shutil.copyfile(file, new)  # no link: the copy must outlive damage to the file's blocks
                new.chmod(0o600)
                sync_file(new)
                new.replace(to)
            finally:
                new.unlink(missing_ok=True)

    def fetch(self, digest: str, to: Path) -> None:
        """Copies into ``to``. Raises Damaged."""
        at = self._path(digest)
        if not at.is_file():
            raise Damaged(f"The stored file {digest[:12]} is not among {self.shown}.")
        to.parent.mkdir(parents=True, exist_ok=True)
        with disk_space(to):
            shutil.copyfile(at, to)
        if digest_file(to) != digest:
            raise Damaged(f"{at} is not what was stored: its hash differs.")

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def drop(self, digests: Collection[str], database: Database) -> None:
        """Removes the copies of files that no champion has any more."""
        with database.reading() as db:
            cards = list(db.scalars(sa.text(CHAMPION_CARDS))) if digests else []
        for digest in digests:
            if not any(digest in card for card in cards):
                with contextlib.suppress(OSError):  # gc removes it later
                    self._path(digest).unlink()

    def list_stored(self) -> Iterator[Stored]:
        for at in (*self.root.glob("??/*"), *self.root.glob("??/.*")):
            with contextlib.suppress(FileNotFoundError):
                told = at.stat()
                yield Stored("blob" if len(at.name) == 64 else "left over", at.name, at, told.st_size, told.st_mtime)

    def remove(self, found: Stored) -> None:
        Path(found.at).unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes of all second copies, the database's too."""
        return sum(at.stat().st_size for at in self.root.rglob("*") if at.is_file())

    def _path(self, digest: str) -> Path:
        return self.root / digest[:2] / digest

    # -- the database -----------------------------------------------------------------------------------------------
    def keep_database(self, database: Database, *, champion_moved: bool) -> None:
        """Copies the SQLite database as it is now; one that cannot be read, or in which a row differs that never may,
        is not copied over a good copy. A large one is copied when a champion moved, and every ten minutes.
        """
        folder, original = self.root / "database", self.registry / DATABASE_NAME
        last = max((at.stat().st_mtime for at in folder.glob("[!.]*")), default=0.0)
        if original.stat().st_size > SMALL and not champion_moved and time.time() - last < PAUSE:
            return
        new = folder / f".{uuid.uuid4().hex}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with database.writing(""):  # others wait, so that the newest copy is the last one made
                with contextlib.closing(sqlite3.connect(original, timeout=1.0)) as source:
                    source.execute("VACUUM INTO ?", (str(new),))
                if self.count_changed_rows(new):
                    raise Damaged(f"{original} differs from its second copy where nothing may change.")
                new.chmod(0o600)
                sync_file(new)
                to = new.replace(new.with_name(digest_file(new)))
                for older in folder.glob("[!.]*"):
                    if older != to:
                        older.unlink(missing_ok=True)
                sync_folder(folder)
        except (OSError, sqlite3.Error, EvermodelError) as error:
            logger.warning("No second copy of the database was made (%s).", error)
            logger.info("Copying the database failed.", exc_info=True)
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)

    def list_faults(self) -> list[str]:
        """What is wrong with the copies beside missing and damaged files."""
        original = self.registry / DATABASE_NAME
        if self.find_database() is None:
            return ["there is no whole copy of the database"]
        changed = self.count_changed_rows(original)
        return [f"{changed} rows of the database are not as they were copied, and never change"] if changed else []

    def count_changed_rows(self, database: Path) -> int:
        """Rows of a database, the registry's or a copy of it, that differ from the newest copy and never may."""
        former = self.find_database()
        if former is None:
            return 0
        with contextlib.closing(sqlite3.connect(database, timeout=1.0)) as db:
            db.execute("ATTACH ? AS former", (str(former),))
            return int(db.execute(CHANGED).fetchone()[0])

    def find_database(self) -> Path | None:
        """The newest copy of the database that is whole."""
        found = sorted((self.root / "database").glob("[!.]*"), key=lambda at: at.stat().st_mtime, reverse=True)
        return next((at for at in found if digest_file(at) == at.name), None)
