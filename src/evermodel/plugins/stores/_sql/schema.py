"""Brings the tables to what this release knows. Opening a registry that is there already costs one read.

A change of the tables is one file in ``migrations/versions`` named after its number (``v0002_jobs.py``, ``revision =
"0002"``, ``down_revision = "0001"``), beside the change in ``tables.py``. A new registry gets all tables at once; an
older one is taken there by alembic, which is imported only then.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa

from evermodel.core.errors import BadSetting, Damaged
from evermodel.plugins.stores._sql.database import Database
from evermodel.plugins.stores._sql.tables import TABLES

MIGRATIONS = Path(__file__).parent / "migrations"
STAMP = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
FIRST = "0001"  # what a registry had before schemas were numbered


@cache
def revisions() -> tuple[str, ...]:
    """The numbers of all schemas there were, oldest first."""
    return tuple(sorted(at.name[1:5] for at in (MIGRATIONS / "versions").glob("v????_*.py")))


def bring_up(database: Database, versions: Path | None = None) -> None:
    """Makes, upgrades or accepts the tables. Raises BadSetting where they are of a newer release, and Damaged where
    there is none although there are ``versions``: the folder of their files.
    """
    with database.reading() as db:
        found = _revision(db)
    if found == revisions()[-1]:
        return
    with database.writing("") as db:  # one process does it; the others find it done
        found = _revision(db)
        if found is None and versions is not None and any(versions.glob("*/v*")):
            raise Damaged(
                f"{database.shown} is gone or empty, and there are versions in {versions}.", "evermodel doctor --repair"
            )
        if found is None:
            TABLES.create_all(db)
            _stamp(db, revisions()[-1])
        elif found not in revisions():
            raise BadSetting(
                f"{database.shown} is of a newer release (tables {found}; this one knows up to {revisions()[-1]}).",
                'pip install --upgrade "evermodel"',
            )
        elif found != revisions()[-1]:
            upgrade(db, revisions()[-1])


def _revision(db: sa.Connection) -> str | None:
    """The number of the schema; None of an empty database."""
    look = sa.inspect(db)
    if look.has_table("alembic_version"):
        return db.scalar(sa.select(STAMP.c.version_num))
    return FIRST if look.has_table("versions") else None


def _stamp(db: sa.Connection, revision: str) -> None:
    STAMP.create(db, checkfirst=True)
    db.execute(sa.delete(STAMP))
    db.execute(sa.insert(STAMP).values(version_num=revision))


def upgrade(db: sa.Connection, to: str) -> None:
    """Runs the migrations up to ``to`` inside the caller's transaction; a registry without a number has the first."""
    from alembic import command
    from alembic.config import Config

    if not sa.inspect(db).has_table("alembic_version") and sa.inspect(db).has_table("versions"):
        _stamp(db, FIRST)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = db
    command.upgrade(config, to)
