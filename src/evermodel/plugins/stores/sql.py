"""Versions, names and events in SQL (SQLite by default, PostgreSQL for a team), files in a folder or behind a URL."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from evermodel.core.errors import BadSetting, Damaged, EvermodelError, Moved, NotFound, OutOfSpace
from evermodel.core.files import disk_space
from evermodel.core.plugins import Confidence
from evermodel.core.records.codec import encode
from evermodel.core.records.event import Event, decode_event, encode_event
from evermodel.core.records.job import Done
from evermodel.core.records.version_card import VERSION_CARD, VersionCard, decode_card
from evermodel.core.store import SETUP_NAME, Move
from evermodel.core.store_upkeep import Upkeep
from evermodel.plugins.stores._sql.champion_copies import ChampionCopies
from evermodel.plugins.stores._sql.database import DATABASE_NAME, Database
from evermodel.plugins.stores._sql.folder_files import Folder
from evermodel.plugins.stores._sql.jobs import Jobs, finish
from evermodel.plugins.stores._sql.location import folder_of_url, is_database_url
from evermodel.plugins.stores._sql.object_files import Objects
from evermodel.plugins.stores._sql.recovery import mend_rows, replace_database
from evermodel.plugins.stores._sql.remote_files import Remote
from evermodel.plugins.stores._sql.schema import bring_up
from evermodel.plugins.stores._sql.second_copies import FilesWithCopies
from evermodel.plugins.stores._sql.setup import Setup, read_setup
from evermodel.plugins.stores._sql.tables import ALIASES, EVENTS, VERSIONS, check_types
from evermodel.plugins.stores._sql.upkeep import SqlUpkeep

__all__ = ["SqlStore", "recognize", "recover_database", "sql"]


def recognize(location: str, /) -> Confidence:
    """Any folder can hold a registry; one that has our database or a ``store.toml`` is a registry of this store."""
    if "://" in location:
        return Confidence.CERTAIN if is_database_url(location) else Confidence.NO
    folder = Path(location)
    marks = (folder / DATABASE_NAME, folder / SETUP_NAME)
    return Confidence.CERTAIN if any(mark.is_file() for mark in marks) else Confidence.POSSIBLE


def sql(location: str | Path, /, *, setup: Setup | None = None) -> SqlStore:
    """The store of a folder: everything is in it, or where its ``store.toml`` says (or the file that EVERMODEL_STORE
    names). Of the URL of a PostgreSQL database with ``?files=…``: a local folder is set up so."""
    registry = folder_of_url(str(location)) if is_database_url(str(location)) else Path(location)
    return SqlStore(registry, setup or read_setup(registry))


def recover_database(location: str, /, *, empty: bool) -> str:
    """Mends the SQLite database of a registry from its second copy: the rows that cannot be read, or all of it.

    What is replaced stays as ``evermodel.db.broken``; with ``empty`` it is replaced by one without rows. Raises
    NotFound, having changed nothing, where there is no whole copy.
    """
    registry = Path(location)
    copies = ChampionCopies(registry, keeps_files=False)
    copy = None if empty else copies.find_database()
    setup = read_setup(registry)
    if setup.database or (copy is None and not empty):
        raise NotFound(f"There is no second copy of the database of {registry}.", "Give a backup with --from.")
    rows = None if copy is None else mend_rows(registry, copy)
    if rows is not None:
        return f"the second copy ({rows} rows)"
    replace_database(registry, copy)
    if copy is None:
        bring_up(Database(registry, ""))
        return "a backup; the former is evermodel.db.broken"
    made = dt.datetime.fromtimestamp(copy.stat().st_mtime, dt.UTC).isoformat(timespec="seconds")
    return f"the second copy of {made}; the former is evermodel.db.broken"


class SqlStore(Jobs):
    """Versions never change, names move. Files first, then the row that names them, in one transaction.

    What a killed process leaves behind is never pointed at, and is removed by the next writer or by ``evermodel gc``.
    Safe under several processes and machines: every move is one transaction that states what it expects.
    """

    def __init__(self, registry: Path, setup: Setup) -> None:
        self.registry = registry
        try:
            with disk_space(registry):
                registry.mkdir(mode=0o700, parents=True, exist_ok=True)  # closed to other users, with all that is in it
        except OSError as error:
            raise BadSetting(
                f"The registry must be a folder we can write to. Got {registry} ({error.strerror})."
            ) from None
        bare: Folder | Remote
        if "://" in setup.files:
            bare = Remote(registry, Objects(setup.files, setup.options))
        else:
            bare = Folder(registry / Path(setup.files).expanduser() if setup.files else registry)
        copies = [Objects(url, setup.options) for url in setup.copies]
        is_local = not setup.database and not setup.files
        self._champions = ChampionCopies(registry, keeps_files=not copies) if is_local else None
        self._files = FilesWithCopies(bare, copies) if copies else bare
        self._database = Database(registry, setup.database)
        bring_up(self._database, registry / "versions" if is_local else None)
        self.upkeep: Upkeep = SqlUpkeep(self._database, bare, copies, self._champions)

    # -- files ------------------------------------------------------------------------------------------------------
    def staging_folder(self) -> Path:
        """An empty folder of our own; those of processes that died are removed."""
        return self._files.staging_folder()

    def put_blob(self, staged: Path) -> str:
        """Takes over a staged file as an immutable blob; returns its SHA-256. Keeping the same bytes twice is once."""
        return self._files.put_blob(staged)

    def get_blob(self, digest: str) -> Path:
        """The file with that SHA-256, checked. Raises Damaged."""
        return self._files.get_blob(digest)

    def delete_blob(self, digest: str) -> None:
        """Removes a blob that its owner no longer points at; no error if it is gone."""
        self._files.delete_blob(digest)

    def scratch_folder(self, name: str) -> Path:
        """A local folder for a model's unfinished work, such as the journal of a search; nothing points into it."""
        folder = self.registry / "scratch" / name
        with disk_space(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    # -- versions ---------------------------------------------------------------------------------------------------
    def add_version(self, staged: Path, card: VersionCard) -> VersionCard:
        """The staged folder becomes version vN of ``card.name``, all of it or nothing."""
        card = dataclasses.replace(card, files=self._files.ready(staged))
        try:
            with self._database.writing(card.name) as db:
                number = _newest(db, card.name) + 1
                card = dataclasses.replace(card, version=f"v{number}")
                db.execute(sa.insert(VERSIONS).values(name=card.name, number=number, card=encode(VERSION_CARD, card)))
                self._files.place(staged, card.name, card.version)
        except OutOfSpace:  # nothing was committed; what was renamed meanwhile takes up space
            shutil.rmtree(staged, ignore_errors=True)
            self._sweep(card.name)
            raise
        return card

    def _sweep(self, name: str) -> None:
        """Removes the folder that the next version would have, if no row says that it is one."""
        with suppress(EvermodelError), self._database.writing(name) as db:  # a writer's folder has no row yet
            self._files.take_back(name, f"v{_newest(db, name) + 1}")

    def version_folder(self, name: str, version: str) -> Path:
        """The folder of a version, every file's hash checked. Raises Damaged, naming the file; NotFound if removed."""
        card = self.read_card(name, version)
        if card.removed:
            raise NotFound(
                f"The files of {name} {version} were removed by 'evermodel gc' on {card.removed}.",
                f"Its card is kept: 'evermodel reproduce {name} {version}' tries to build it again.",
            )
        return self._files.version_folder(name, version, card.files)

    def read_card(self, name: str, version: str) -> VersionCard:
        number = int(version[1:]) if version[:1] == "v" and version[1:].isdigit() and len(version) < 10 else -1
        with self._database.reading() as db:
            at = (VERSIONS.c.name == name) & (VERSIONS.c.number == number)
            text = db.scalar(sa.select(VERSIONS.c.card).where(at))
        if text is None:
            if name not in self.list_models():
                raise NotFound.among("model", name, self.list_models(), "evermodel adopt makes one.")
            raise NotFound.among(f"version of {name}", version, [c.version for c in self.list_cards(name)])
        return decode_card(text, name, number)

    def list_cards(self, name: str) -> list[VersionCard]:
        """All versions of a model, oldest first."""
        columns = sa.select(VERSIONS.c.number, VERSIONS.c.card)
        query = columns.where(VERSIONS.c.name == name).order_by(VERSIONS.c.number)
        with self._database.reading() as db:
            rows = db.execute(query).all()
        return [decode_card(row.card, name, row.number) for row in rows]

    def list_models(self, alias: str = "champion") -> list[str]:
        """Names of models that have a champion, or another alias."""
        with self._database.reading() as db:
            rows = db.execute(sa.select(ALIASES).where(ALIASES.c.alias == alias)).mappings().all()
        return sorted(check_types(ALIASES, row)["name"] for row in rows)

    # -- names and events -------------------------------------------------------------------------------------------
    def resolve_alias(self, name: str, alias: str) -> str | None:
        query = sa.select(ALIASES).where((ALIASES.c.name == name) & (ALIASES.c.alias == alias))
        with self._database.reading() as db:
            row = db.execute(query).mappings().one_or_none()
        return None if row is None else check_types(ALIASES, row)["target"]

    def commit_moves(self, name: str, moves: Sequence[Move], events: Sequence[Event], done: Done | None = None) -> None:
        """Moves names, appends events and ends a job, all or nothing. Raises Moved where a name is not where it was
        expected, LeaseLost where the job is no longer held.
        """
        served = [move for move in moves if move.alias == "champion"]
        if self._champions is not None:
            for move in served:
                self._champions.keep(self.registry / "versions" / name / move.to, self._list_files(name, move.to))
        with self._database.writing(name) as db:
            if done is not None:
                finish(db, done)
            for move in moves:
                _move(db, name, move)
            for event in events:
                values = {"name": name, "kind": event.kind.value, "at": event.at, "data": encode_event(event)}
                db.execute(sa.insert(EVENTS).values(**values))
        if self._champions is not None:
            former = {d for move in served for d in self._list_files(name, move.expect).values()}
            self._champions.drop(former, self._database)
            self._champions.keep_database(self._database, champion_moved=bool(served))

    def _list_files(self, name: str, version: str | None) -> Mapping[str, str]:
        """The files of a version; none where there is no such version."""
        try:
            return self.read_card(name, str(version)).files
        except (NotFound, Damaged):
            return {}

    def read_events(self, name: str | None = None) -> list[Event]:
        """What happened, oldest first; of one model, or of all."""
        query = sa.select(EVENTS).order_by(EVENTS.c.number)
        with self._database.reading() as db:
            rows = db.execute(query if name is None else query.where(EVENTS.c.name == name)).all()
        return [decode_event(r.name, r.kind, r.at, r.data, r.number) for r in rows]


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
