"""A registry named by the URL of its PostgreSQL database: ``postgresql://me@host/models?files=s3://bucket/models``.

A registry is a folder whose ``store.toml`` names the database and the place of the files. For a URL such a folder is
made once on this machine, so that everything else works as with a folder that a person set up.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from evermodel.core.errors import BadSetting
from evermodel.core.store import SETUP_NAME

SCHEMES = ("postgresql", "postgresql+psycopg")


def is_database_url(location: str) -> bool:
    """Whether the location is the URL of a PostgreSQL database."""
    return urlsplit(location).scheme in SCHEMES


def folder_of_url(location: str) -> Path:
    """The local folder of a registry that is named by a URL. Its ``store.toml`` is readable by its owner alone.

    Raises BadSetting where the URL does not say where the files are: versions are files, and every machine needs them.
    """
    parts = urlsplit(location)
    query = dict(parse_qsl(parts.query))
    files = query.pop("files", "")
    if not files:
        raise BadSetting(
            "The URL of a registry must say where the files of versions are, besides the database.",
            "Add ?files=/srv/models (a folder that all machines see) or ?files=s3://bucket/models.",
        )
    database = urlunsplit(parts._replace(query=urlencode(query)))
    folder = _cache_folder() / hashlib.sha256(location.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_setup(folder / SETUP_NAME, f"database = {json.dumps(database)}\nfiles = {json.dumps(files)}\n")
    return folder


def _cache_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "evermodel" / "registries"


def _write_setup(at: Path, text: str) -> None:
    """Whole or not at all: another process may open the same URL at this moment."""
    if at.is_file() and at.read_text() == text:
        return
    partial = at.with_name(f"{at.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(at)
