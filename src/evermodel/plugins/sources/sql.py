"""Databases, by an SQLAlchemy URL and a query: ``sqlite:///file.db::SELECT * FROM rows``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from evermodel.core.errors import BadData, NoData, NotFound
from evermodel.core.masking import REFERENCES
from evermodel.core.plugins import Confidence
from evermodel.core.secrets import read_secret

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

__all__ = ["recognize", "sql"]
ROWS = 50_000  # fetched at once
_WRITES = re.compile(
    r"\b(insert|update|delete|merge|drop|alter|create|truncate|replace|grant|revoke|attach|detach|pragma|vacuum|copy|call|exec|execute|into)\b",
    re.IGNORECASE,
)
# Strings, quoted names and comments; PostgreSQL also has strings in dollars.
_STRINGS = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/"
_QUOTED = re.compile(_STRINGS, re.DOTALL)
_QUOTED_POSTGRESQL = re.compile(rf"\$([A-Za-z_]\w*|)\$.*?\$\1\$|{_STRINGS}", re.DOTALL)
SUFFIXES: tuple[str, ...] = ()


def recognize(source: Any, /) -> Confidence:
    """Text with ``://`` in it may be the URL of a database."""
    return Confidence.POSSIBLE if isinstance(source, str) and "://" in source else Confidence.NO


def sql(source: str, /) -> pl.LazyFrame:
    """The rows of ``URL::QUERY``, the query being one SELECT, or the name of a table; read only, in memory.

    A password in the URL is never shown; ``env:NAME`` or ``file:PATH`` in its place names it. Raises
    BadData for another statement or one the database refuses, NotFound for a missing SQLite file.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    url, query = _cut(source)
    if url.password is not None and str(url.password).startswith(REFERENCES):
        url = url.set(password=read_secret(str(url.password), "the password of the database"))
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise BadData(f"No database can be opened by this URL: {error}.") from None
    try:
        with engine.connect() as connection:
            _read_only(connection)
            wanted = _select(query, connection)
            result = connection.execution_options(stream_results=True).execute(text(wanted.replace(":", r"\:")))
            names = list(result.keys())
            if len(set(names)) < len(names):
                raise BadData("The query gives two columns of one name.", "Name them apart with AS.")
            parts = [_frame(part, names) for part in result.partitions(ROWS)]
    except (SQLAlchemyError, UnicodeError) as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise BadData(
            f"The database {url.render_as_string()} refused: {cause}.", f"The query was: {query[:200]}"
        ) from None
    finally:
        engine.dispose()
    if not parts:
        raise NoData("The query gives no rows.")
    return pl.concat(parts, how="vertical_relaxed").lazy()


def _cut(source: str) -> tuple[URL, str]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    address, mark, query = source.partition("::")
    if "[" in address and "]" not in address:  # an IPv6 address has :: in it
        rest, more = query.split("]", 1) if "]" in query else (query, "")
        inside, mark, query = more.partition("::")
        address = f"{address}::{rest}]{inside}"
    if not mark or not query.strip():
        raise BadData("An SQL URL needs a query.", "Write it behind two colons: sqlite:///file.db::SELECT * FROM rows")
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise BadData(
            "The part before the two colons is no SQL URL.", "sqlite:///file.db::SELECT * FROM rows"
        ) from None
    file = url.database if url.get_backend_name() == "sqlite" else None
    if file not in (None, "", ":memory:") and ("\x00" in str(file) or not Path(str(file)).is_file()):
        raise NotFound(f"There is no file {file}.")
    return url, query.strip().rstrip(";").strip()


def _read_only(connection: Connection) -> None:
    """Lets the database itself refuse to write, where it can."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()


def _select(query: str, connection: Connection) -> str:
    """The one SELECT that was asked for; the bare name of a table means all of it."""
    if re.fullmatch(r"[\w.]+", query):
        quote = connection.dialect.identifier_preparer.quote
        return f"SELECT * FROM {'.'.join(quote(p) for p in query.split('.'))}"  # noqa: S608 (quoted by the dialect)
    if "/*!" in query:  # MySQL runs what stands in such a comment
        raise BadData("A query must not hold a comment that begins with /*!.", "Leave it out.")
    bare = (_QUOTED_POSTGRESQL if connection.dialect.name == "postgresql" else _QUOTED).sub(" ", query)
    writes = _WRITES.search(bare)
    if not re.match(r"\s*\(*\s*(select|with)\b", bare, re.IGNORECASE) or ";" in bare or writes:
        what = writes.group(0).upper() if writes else query.split(None, 1)[0].upper()[:20]
        raise BadData(f"A query must be one SELECT. Got {what}.", "Rows are only ever read.")
    return query


def _frame(rows: Any, names: list[str]) -> pl.DataFrame:
    columns = list(zip(*rows, strict=True))
    return pl.DataFrame([pl.Series(n, list(c), strict=False) for n, c in zip(names, columns, strict=True)])
