"""The database: one writer a model at a time, readers that see one moment, errors in words."""

from __future__ import annotations

import shutil
import sqlite3
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from evermodel.core.errors import BadSetting, Damaged, EvermodelError, MissingExtra, OutOfSpace
from evermodel.core.files import disk_space

DATABASE_NAME = "evermodel.db"  # the SQLite file of a registry whose store.toml names no database
JOURNAL = 65_536  # free bytes without which SQLite cannot open its journal
PATIENCE = 60  # seconds that a writer waits for another
OURS = 0x45564D  # marks our advisory locks among those of other programs in the same database


class Database:
    """SQLite: a writer holds the one write lock from BEGIN IMMEDIATE on. PostgreSQL: a writer of a model holds the
    advisory lock of that model until it commits, so that what it reads is what it changes; writers of other models,
    and readers, do not wait. Either way a transaction is all or nothing, and no retry is needed.
    """

    def __init__(self, registry: Path, url: str) -> None:
        self.registry = registry
        self.sqlite = not url or url.startswith("sqlite")
        address = url or f"sqlite:///{registry / DATABASE_NAME}"
        waits = {"timeout": PATIENCE} if self.sqlite else {"connect_timeout": 10}
        try:
            self.engine = sa.create_engine(address, connect_args=waits, pool_pre_ping=not self.sqlite)
        except ModuleNotFoundError as error:
            raise MissingExtra.for_package(str(error.name), "team", "A store on PostgreSQL") from None
        except sa.exc.ArgumentError:  # its text may hold the password
            raise BadSetting("database is no URL that can be read.", "postgresql+psycopg://USER@HOST/DB") from None
        if self.sqlite:
            if not url and not (registry / DATABASE_NAME).exists():
                sa.event.listen(self.engine, "connect", partial(_close_to_others, registry / DATABASE_NAME))
            sa.event.listen(self.engine, "connect", _pragmas)
            sa.event.listen(self.engine, "begin", _begin)
        else:  # a server allows few connections, and an engine refers to itself: it would keep them until Python's gc
            weakref.finalize(self, self.engine.dispose)

    @property
    def shown(self) -> str:
        """Where it is, without its password."""
        return (
            str(self.registry / DATABASE_NAME) if self.sqlite else self.engine.url.render_as_string(hide_password=True)
        )

    @contextmanager
    def writing(self, key: str) -> Iterator[sa.Connection]:
        """A transaction of the only writer of ``key`` (a model's name, or "" for the store itself)."""
        with self._in_words(), disk_space(self.registry), self.engine.begin() as db:
            if not self.sqlite:
                db.execute(sa.text(f"SET LOCAL lock_timeout = '{PATIENCE}s'"))
                lock = {"ours": OURS, "key": _signed(zlib.crc32(key.encode()))}
                db.execute(sa.text("SELECT pg_advisory_xact_lock(:ours, :key)"), lock)
            yield db

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction in which all reads see the same moment."""
        with self._in_words(), self.engine.connect() as bare:
            how = {"reading": True} if self.sqlite else {"isolation_level": "REPEATABLE READ"}
            with bare.execution_options(**how) as db:
                yield db

    def compact(self) -> None:
        """SQLite writes its file anew, without free pages; whoever writes meanwhile waits. Needs as much room again."""
        if not self.sqlite:
            return
        with self._in_words(), disk_space(self.registry), self.engine.connect() as bare:
            db = bare.execution_options(alone=True)
            db.exec_driver_sql("VACUUM")
            db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # else the file itself shrinks some day

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise self.error(error) from None

    def error(self, error: sa.exc.DBAPIError) -> EvermodelError:
        """What the database said, in our words and without what could hold a password."""
        said = " ".join(str(error.orig).split())[:100]
        if not self.sqlite:
            code = getattr(error.orig, "sqlstate", None)
            if code == "53100":
                return OutOfSpace(f"The disk of {self.shown} is full.", "Free some space there first.")
            return BadSetting(f"{self.shown} did not do what it was asked: {said}.", "Is it running, and let us in?")
        if "full" in said or shutil.disk_usage(self.registry).free < JOURNAL:
            return OutOfSpace(f"The disk is full while writing {self.registry}.", "Free some space first.")
        if "readonly" in said or "unable to open" in said:
            return BadSetting(f"The registry must be a folder we can write to. Got {self.registry} ({said}).")
        if "locked" in said or "busy" in said:
            return BadSetting(f"{self.shown} was in use by another for {PATIENCE} s.", "Run it again.")
        return Damaged(
            f"{self.shown} cannot be opened as a database ({said}).",
            "Restore it from a backup: 'evermodel doctor --repair'.",
        )


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def _close_to_others(file: Path, connection: Any, record: Any) -> None:
    """A new database is the owner's alone."""
    connection.execute("PRAGMA user_version")  # makes SQLite create the file
    file.chmod(0o600)


def _pragmas(connection: Any, record: Any) -> None:
    """Sets a new connection up. Of two that switch a new database's log on at once, SQLite refuses one at once."""
    connection.isolation_level = None  # SQLAlchemy's begin event below says BEGIN itself
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            busy = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: sa.Connection) -> None:
    told = connection.get_execution_options()
    if not told.get("alone", False):  # VACUUM is not done inside a transaction
        connection.exec_driver_sql("BEGIN" if told.get("reading", False) else "BEGIN IMMEDIATE")
