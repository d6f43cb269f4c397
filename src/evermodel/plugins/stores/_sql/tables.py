"""The tables. A table more: put it here (or import its file here), and say how an older registry gets it in
migrations/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from evermodel.core.errors import Damaged

TABLES = sa.MetaData()
VERSIONS = sa.Table(
    "versions",
    TABLES,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("card", sa.Text, nullable=False),
)
ALIASES = sa.Table(
    "aliases",
    TABLES,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("alias", sa.String(100), primary_key=True),
    sa.Column("target", sa.String(200), nullable=False),
)
EVENTS = sa.Table(
    "events",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(100), nullable=False, index=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)
JOBS = sa.Table(
    "jobs",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("due", sa.String(40), nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("after", sa.Float, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("progress", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.UniqueConstraint("name", "kind", "due"),
)


def check_types(table: sa.Table, row: Mapping[str, Any] | sa.RowMapping) -> dict[str, Any]:
    """The row as a dict. SQLite keeps any value in any column: raises Damaged where one is not of its column's type."""
    for column in table.columns:
        value, wanted = row[column.name], column.type.python_type
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise Damaged(
                f"The {column.name} of a row of {row['name']!r} in the table {table.name} is "
                f"{type(value).__name__} and must be {wanted.__name__}.",
                "'evermodel doctor' says what helps.",
            )
    return dict(row)
