"""Versions, names and events in SQL (SQLite by default), files in a folder beside it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from evermodel.core.errors import BadSetting, Damaged, Moved, NotFound, OutOfSpace
from evermodel.core.files import digest_file, disk_space, sync_file, sync_folder
from evermodel.core.job import Done
from evermodel.core.owners import is_gone, owner
from evermodel.core.store import Card, Event, Move
from evermodel.stores._sql.jobs import Jobs, finish
from evermodel.stores._sql.tables import ALIASES, EVENTS, TABLES, VERSIONS

__all__ = ["SqlStore", "sql"]

JOURNAL = 65_536  # free bytes without which SQLite cannot open its journal


def sql(home: Path, /, *, url: str = "") -> SqlStore:
    """A store in the folder ``home``; ``url`` names another SQL database than the SQLite file in it."""
    return SqlStore(home, url)


class SqlStore(Jobs):
    """Versions are folders ``versions/NAME/vN``, made by one rename; rows and other blobs are named by their SHA-256.

    What a killed process leaves behind is never pointed at: a folder without a row is not a version, and is removed
    by the next writer. Safe under several processes: every move is one transaction that states what it expects.
    """

    def __init__(self, home: Path, url: str = "") -> None:
        self.home = home
        try:
            with disk_space(home):
                for folder in ("versions", "blobs", "staging"):
                    (home / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:  # a file, no right to write, a read-only disk, a name too long
            raise BadSetting(f"The home must be a folder we can write to. Got {home} ({error.strerror}).") from None
        self._engine = sa.create_engine(url or f"sqlite:///{home / 'evermodel.db'}", connect_args=_arguments(url))
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _pragmas)
            sa.event.listen(self._engine, "begin", _begin_immediate)
        try:
            with self._writing() as db:
                TABLES.create_all(db)
        except sa.exc.DatabaseError as error:
            if shutil.disk_usage(home).free < JOURNAL:
                raise OutOfSpace(f"The disk is full while opening {home}.", "Free some space first.") from None
            if "readonly" in str(error.orig):
                raise BadSetting(f"The home must be a folder we can write to. Got {home} ({error.orig}).") from None
            raise Damaged(
                f"{home / 'evermodel.db'} cannot be opened as a database ({error.orig}).", "Restore it from a backup."
            ) from None

    # -- files ------------------------------------------------------------------------------------------------------
    def stage(self) -> Path:
        """An empty folder of our own; those of processes that died are removed."""
        staging = self.home / "staging"
        for left in staging.iterdir():
            if is_gone(left.name):
                shutil.rmtree(left, ignore_errors=True)
        folder = staging / f"{owner()}~{uuid.uuid4().hex}"
        with disk_space(folder):
            folder.mkdir()
        return folder

    def keep(self, staged: Path) -> str:
        """Takes over a staged file as an immutable blob; returns its SHA-256. Keeping the same bytes twice is once."""
        digest = digest_file(staged)
        to = self._blob_path(digest)
        with disk_space(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            sync_file(staged)
            staged.replace(to)
            sync_folder(to.parent)
        return digest

    def blob(self, digest: str) -> Path:
        """The file with that SHA-256, checked. Raises Damaged."""
        at = self._blob_path(digest)
        if not at.is_file():
            raise Damaged(f"The stored file {digest[:12]} is gone from {at}.", "Restore it from a backup.")
        if digest_file(at) != digest:
            raise Damaged(f"{at} is not what was stored: its hash differs.", "Restore it from a backup.")
        return at

    def discard(self, digest: str) -> None:
        """Removes a blob that its owner no longer points at; no error if it is gone."""
        self._blob_path(digest).unlink(missing_ok=True)

    def _blob_path(self, digest: str) -> Path:
        return self.home / "blobs" / digest[:2] / digest

    # -- versions ---------------------------------------------------------------------------------------------------
    def put(self, staged: Path, card: Card) -> Card:
        """The staged folder becomes version vN of ``card.name``, all of it or nothing."""
        files = {}
        with disk_space(self.home):
            for file in sorted(p for p in staged.rglob("*") if p.is_file()):
                sync_file(file)
                files[file.relative_to(staged).as_posix()] = digest_file(file)
        try:
            return self._committed(staged, dataclasses.replace(card, files=files))
        except OutOfSpace:  # nothing was committed; what was renamed meanwhile takes up space
            self._sweep(card.name)
            raise

    def _committed(self, staged: Path, card: Card) -> Card:
        with self._writing() as db:
            newest = db.scalar(sa.select(sa.func.max(VERSIONS.c.number)).where(VERSIONS.c.name == card.name))
            number = (newest or 0) + 1
            card = dataclasses.replace(card, version=f"v{number}")
            db.execute(sa.insert(VERSIONS).values(name=card.name, number=number, card=_to_json(card)))
            to = self._folder(card.name, card.version)
            to.parent.mkdir(parents=True, exist_ok=True)
            if to.exists():  # left by a writer that was killed between its rename and its commit
                shutil.rmtree(to)
            staged.rename(to)
            sync_folder(to.parent)
        return card

    def _sweep(self, name: str) -> None:
        """Removes the folder that the next version would have, if no row says that it is one."""
        newest = sa.select(sa.func.max(VERSIONS.c.number)).where(VERSIONS.c.name == name)
        with suppress(OutOfSpace, sa.exc.SQLAlchemyError), self._writing() as db:  # a writer's folder has no row yet
            shutil.rmtree(self._folder(name, f"v{(db.scalar(newest) or 0) + 1}"), ignore_errors=True)

    def get(self, name: str, version: str) -> Path:
        """The folder of a version, every file's hash checked. Raises Damaged, naming the file."""
        card, at = self.card(name, version), self._folder(name, version)
        for path, digest in card.files.items():
            file = at / path
            if not file.is_file() or digest_file(file) != digest:
                what = "is not what was stored: its hash differs" if file.is_file() else "is gone"
                raise Damaged(f"{name} {version}: {file} {what}.", f"evermodel rollback {name}, or restore the file.")
        return at

    def card(self, name: str, version: str) -> Card:
        number = int(version[1:]) if version[:1] == "v" and version[1:].isdigit() and len(version) < 10 else -1
        with self._reading() as db:
            at = (VERSIONS.c.name == name) & (VERSIONS.c.number == number)
            text = db.scalar(sa.select(VERSIONS.c.card).where(at))
        if text is None:
            if name not in self.models():
                raise NotFound.among("model", name, self.models(), "evermodel adopt makes one.")
            raise NotFound.among(f"version of {name}", version, [c.version for c in self.cards(name)])
        return _from_json(text)

    def cards(self, name: str) -> list[Card]:
        """All versions of a model, oldest first."""
        query = sa.select(VERSIONS.c.card).where(VERSIONS.c.name == name).order_by(VERSIONS.c.number)
        with self._reading() as db:
            return [_from_json(text) for text in db.scalars(query)]

    def models(self, alias: str = "champion") -> list[str]:
        """Names of models that have a champion, or another alias."""
        query = sa.select(ALIASES.c.name).where(ALIASES.c.alias == alias).order_by(ALIASES.c.name)
        with self._reading() as db:
            return list(db.scalars(query))

    def scratch(self, name: str) -> Path:
        """A local folder for a model's unfinished work, such as the journal of a search; nothing points into it."""
        folder = self.home / "scratch" / name
        with disk_space(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _folder(self, name: str, version: str) -> Path:
        return self.home / "versions" / name / version

    # -- names and events -------------------------------------------------------------------------------------------
    def at(self, name: str, alias: str) -> str | None:
        query = sa.select(ALIASES.c.target).where((ALIASES.c.name == name) & (ALIASES.c.alias == alias))
        with self._reading() as db:
            return db.scalar(query)

    def point(self, name: str, moves: Sequence[Move], events: Sequence[Event], done: Done | None = None) -> None:
        """Moves names, appends events and ends a job, all or nothing. Raises Moved where a name is not where it was
        expected, LeaseLost where the job is no longer held.
        """
        with self._writing(name) as db:
            if done is not None:
                finish(db, done)
            for move in moves:
                _move(db, name, move)
            for event in events:
                facts = json.dumps(event.facts, allow_nan=True)
                db.execute(sa.insert(EVENTS).values(name=name, kind=event.kind, at=event.at, facts=facts))

    def log(self, name: str | None = None) -> list[Event]:
        """What happened, oldest first; of one model, or of all."""
        query = sa.select(EVENTS).order_by(EVENTS.c.number)
        with self._reading() as db:
            rows = db.execute(query if name is None else query.where(EVENTS.c.name == name)).all()
        return [Event(r.name, r.kind, r.at, json.loads(r.facts), r.number) for r in rows]

    @contextmanager
    def _writing(self, key: str = "") -> Iterator[sa.Connection]:
        try:
            with disk_space(self.home), self._engine.begin() as db:
                yield db
        except sa.exc.OperationalError as error:
            if "disk is full" in str(error.orig):
                raise OutOfSpace(f"The disk is full while writing {self.home}.", "Free some space first.") from None
            raise

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._engine.connect().execution_options(reading=True) as db:
            yield db


def _move(db: sa.Connection, name: str, move: Move) -> None:
    key = (ALIASES.c.name == name) & (ALIASES.c.alias == move.alias)
    found = db.scalar(sa.select(ALIASES.c.target).where(key))
    if found != move.expect:
        was, now = move.expect or "not set", found or "not set"
        raise Moved(
            f"The {move.alias} of {name} was {was[:12]} when this began and is {now[:12]} now: somebody was first.",
            f"Nothing was changed by this run. Look at 'evermodel log {name}', then run it again.",
        )
    if found is None:
        db.execute(sa.insert(ALIASES).values(name=name, alias=move.alias, target=move.to))
    else:
        db.execute(sa.update(ALIASES).where(key).values(target=move.to))


def _to_json(card: Card) -> str:
    return json.dumps(dataclasses.asdict(card))


def _from_json(text: str) -> Card:
    raw = json.loads(text)
    return Card(**{**raw, "parents": tuple(raw["parents"]), "curves": tuple(raw["curves"])})


def _arguments(url: str) -> dict[str, Any]:
    return {} if url else {"timeout": 60}


def _pragmas(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event below says BEGIN itself
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
