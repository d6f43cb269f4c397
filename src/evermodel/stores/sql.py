"""Versions, names and events in SQL (SQLite by default, PostgreSQL for a team), files in a folder or behind a URL."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from evermodel.core.errors import BadSetting, EvermodelError, Moved, NotFound, OutOfSpace
from evermodel.core.files import disk_space
from evermodel.core.job import Done
from evermodel.core.store import Card, Event, Move
from evermodel.core.upkeep import Upkeep
from evermodel.stores._sql.cards import card_from_json, card_to_json
from evermodel.stores._sql.care import Care
from evermodel.stores._sql.copied import Copied
from evermodel.stores._sql.database import Database
from evermodel.stores._sql.folder import Folder
from evermodel.stores._sql.jobs import Jobs, finish
from evermodel.stores._sql.objects import Objects
from evermodel.stores._sql.remote import Remote
from evermodel.stores._sql.schema import bring_up
from evermodel.stores._sql.setup import Setup, read_setup
from evermodel.stores._sql.tables import ALIASES, EVENTS, VERSIONS

__all__ = ["SqlStore", "sql"]


def sql(home: Path, /, *, setup: Setup | None = None) -> SqlStore:
    """The store of the folder ``home``: all in it, or where its ``store.toml`` says (or that of EVERMODEL_STORE)."""
    return SqlStore(home, setup or read_setup(home))


class SqlStore(Jobs):
    """Versions never change, names move. Files first, then the row that names them, in one transaction.

    What a killed process leaves behind is never pointed at, and is removed by the next writer or by ``evermodel gc``.
    Safe under several processes and machines: every move is one transaction that states what it expects.
    """

    def __init__(self, home: Path, setup: Setup) -> None:
        self.home = home
        try:
            with disk_space(home):
                home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadSetting(f"The home must be a folder we can write to. Got {home} ({error.strerror}).") from None
        bare: Folder | Remote
        if "://" in setup.files:
            bare = Remote(home, Objects(setup.files, setup.options))
        else:
            bare = Folder(home / Path(setup.files).expanduser() if setup.files else home)
        copies = [Objects(url, setup.options) for url in setup.copies]
        self._files = Copied(bare, copies) if copies else bare
        self._database = Database(home, setup.database)
        bring_up(self._database)
        self.care: Upkeep = Care(self._database, bare, copies)

    # -- files ------------------------------------------------------------------------------------------------------
    def stage(self) -> Path:
        """An empty folder of our own; those of processes that died are removed."""
        return self._files.stage()

    def keep(self, staged: Path) -> str:
        """Takes over a staged file as an immutable blob; returns its SHA-256. Keeping the same bytes twice is once."""
        return self._files.keep(staged)

    def blob(self, digest: str) -> Path:
        """The file with that SHA-256, checked. Raises Damaged."""
        return self._files.blob(digest)

    def discard(self, digest: str) -> None:
        """Removes a blob that its owner no longer points at; no error if it is gone."""
        self._files.discard(digest)

    def scratch(self, name: str) -> Path:
        """A local folder for a model's unfinished work, such as the journal of a search; nothing points into it."""
        folder = self.home / "scratch" / name
        with disk_space(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    # -- versions ---------------------------------------------------------------------------------------------------
    def put(self, staged: Path, card: Card) -> Card:
        """The staged folder becomes version vN of ``card.name``, all of it or nothing."""
        card = dataclasses.replace(card, files=self._files.ready(staged))
        try:
            return self._committed(staged, card)
        except OutOfSpace:  # nothing was committed; what was renamed meanwhile takes up space
            shutil.rmtree(staged, ignore_errors=True)
            self._sweep(card.name)
            raise

    def _committed(self, staged: Path, card: Card) -> Card:
        with self._database.writing(card.name) as db:
            number = _newest(db, card.name) + 1
            card = dataclasses.replace(card, version=f"v{number}")
            db.execute(sa.insert(VERSIONS).values(name=card.name, number=number, card=card_to_json(card)))
            self._files.place(staged, card.name, card.version)
        return card

    def _sweep(self, name: str) -> None:
        """Removes the folder that the next version would have, if no row says that it is one."""
        with suppress(EvermodelError), self._database.writing(name) as db:  # a writer's folder has no row yet
            self._files.take_back(name, f"v{_newest(db, name) + 1}")

    def get(self, name: str, version: str) -> Path:
        """The folder of a version, every file's hash checked. Raises Damaged, naming the file; NotFound if removed."""
        card = self.card(name, version)
        if "removed" in card.facts:
            raise NotFound(
                f"The files of {name} {version} were removed by 'evermodel gc' on {card.facts['removed']}.",
                f"Its card is kept: 'evermodel reproduce {name} {version}' tries to build it again.",
            )
        return self._files.get(name, version, card.files)

    def card(self, name: str, version: str) -> Card:
        number = int(version[1:]) if version[:1] == "v" and version[1:].isdigit() and len(version) < 10 else -1
        with self._database.reading() as db:
            at = (VERSIONS.c.name == name) & (VERSIONS.c.number == number)
            text = db.scalar(sa.select(VERSIONS.c.card).where(at))
        if text is None:
            if name not in self.models():
                raise NotFound.among("model", name, self.models(), "evermodel adopt makes one.")
            raise NotFound.among(f"version of {name}", version, [c.version for c in self.cards(name)])
        return card_from_json(text)

    def cards(self, name: str) -> list[Card]:
        """All versions of a model, oldest first."""
        query = sa.select(VERSIONS.c.card).where(VERSIONS.c.name == name).order_by(VERSIONS.c.number)
        with self._database.reading() as db:
            return [card_from_json(text) for text in db.scalars(query)]

    def models(self, alias: str = "champion") -> list[str]:
        """Names of models that have a champion, or another alias."""
        query = sa.select(ALIASES.c.name).where(ALIASES.c.alias == alias)
        with self._database.reading() as db:
            return sorted(db.scalars(query))

    # -- names and events -------------------------------------------------------------------------------------------
    def at(self, name: str, alias: str) -> str | None:
        query = sa.select(ALIASES.c.target).where((ALIASES.c.name == name) & (ALIASES.c.alias == alias))
        with self._database.reading() as db:
            return db.scalar(query)

    def point(self, name: str, moves: Sequence[Move], events: Sequence[Event], done: Done | None = None) -> None:
        """Moves names, appends events and ends a job, all or nothing. Raises Moved where a name is not where it was
        expected, LeaseLost where the job is no longer held.
        """
        with self._database.writing(name) as db:
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
        with self._database.reading() as db:
            rows = db.execute(query if name is None else query.where(EVENTS.c.name == name)).all()
        return [Event(r.name, r.kind, r.at, json.loads(r.facts), r.number) for r in rows]


def _newest(db: sa.Connection, name: str) -> int:
    return db.scalar(sa.select(sa.func.max(VERSIONS.c.number)).where(VERSIONS.c.name == name)) or 0


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
