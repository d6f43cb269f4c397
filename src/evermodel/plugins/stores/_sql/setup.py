"""What ``store.toml`` says: which database, where the files are, which copies of them are kept."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.files import read_limited
from evermodel.core.store import SETUP_NAME

LARGEST = 65_536  # bytes of a file that holds a password
KEYS = ("database", "password_file", "files", "copies", "options")


@dataclass(frozen=True)
class Setup:
    """``database``: a SQLAlchemy URL, "" for SQLite in the registry. ``files``: a folder or a URL, "" for the registry.

    ``options``: start of a URL ("s3://") -> what fsspec is told; "env:NAME" stands for an environment variable.
    """

    database: str = field(default="", repr=False)
    files: str = ""
    copies: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


def read_setup(registry: Path) -> Setup:
    """From the file that EVERMODEL_STORE names, or from the registry's ``store.toml``; without both, all in the
    registry.

    Raises BadSetting naming the key, NotFound.
    """
    named = os.environ.get("EVERMODEL_STORE")
    at = Path(named).expanduser() if named else registry / SETUP_NAME
    if not at.is_file():
        if named:
            raise NotFound(f"There is no file {str(at)!r}.", "EVERMODEL_STORE must name a store.toml, or be unset.")
        return Setup()
    try:
        raw = tomllib.loads(at.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{at} is not TOML: {error}.") from None
    for key in raw:
        if key not in KEYS:
            raise BadSetting(f"{at} knows the keys {', '.join(KEYS)}. Got {key!r}.")
    return Setup(_database(at, raw, anywhere=bool(named)), _text(at, raw, "files"), _copies(at, raw), _options(at, raw))


def _text(at: Path, raw: Mapping[str, Any], key: str) -> str:
    found = raw.get(key, "")
    if not isinstance(found, str):
        raise BadSetting(f"{at}: {key} must be text in quotes. Got {type(found).__name__}.")
    return found.strip()


def _database(at: Path, raw: Mapping[str, Any], *, anywhere: bool) -> str:
    """The URL with its password. A file in a registry may name a password file in that registry only."""
    url, secret = _text(at, raw, "database"), _text(at, raw, "password_file")
    if url and "://" not in url:
        raise BadSetting(f"{at}: database must be a URL such as postgresql+psycopg://USER@HOST/DATABASE.")
    kind = url.partition("://")[0].partition("+")[0]
    if kind not in ("", "sqlite", "postgresql"):
        raise BadSetting(f"{at}: database must be SQLite or PostgreSQL. Got {kind!r}.")
    if kind == "postgresql" and "+" not in url.partition("://")[0]:
        url = "postgresql+psycopg" + url[len("postgresql") :]
    if not secret:
        return url
    if not anywhere and not (at.parent / secret).resolve().is_relative_to(at.parent.resolve()):
        raise BadSetting(
            f"{at}: password_file must be in the registry. Got {secret!r}.",
            "Move it there, or let EVERMODEL_STORE name your store.toml, which may name any file.",
        )
    try:
        password = read_limited(at.parent / secret, LARGEST).decode().strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise BadSetting(f"{at}: the password_file cannot be read ({why}). Got {secret!r}.") from None
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"))


def _copies(at: Path, raw: Mapping[str, Any]) -> tuple[str, ...]:
    found = raw.get("copies", [])
    if not isinstance(found, list) or not all(isinstance(c, str) and c.strip() for c in found):
        raise BadSetting(f"{at}: copies must be a list of folders or URLs. Got {type(found).__name__}.")
    return tuple(c.strip() for c in found)


def _options(at: Path, raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = raw.get("options", {})
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise BadSetting(f'{at}: options must be tables named by the start of a URL: [options."s3://"].')
    return {start: {k: _secret(at, v) for k, v in told.items()} for start, told in found.items()}


def _secret(at: Path, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_secret(at, v) for v in value)
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    if name not in os.environ:
        raise BadSetting(f"{at} wants the environment variable {name}, which is not set.")
    return os.environ[name]
