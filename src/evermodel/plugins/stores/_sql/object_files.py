"""Files behind a URL that fsspec knows (s3://, gs://, webdav://, file:// …), each under its SHA-256.

No rename and no lock is asked of the other side, only whole writes, so that any object store will do. What is stored
twice is stored once, and writing it again is harmless.
"""

from __future__ import annotations

import datetime as dt
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadSetting, Damaged, EvermodelError, MissingExtra, NotDelivered
from evermodel.core.files import digest_file, disk_space, sync_file
from evermodel.core.store_upkeep import Needed, Rows, Stored

# Where files may be kept. fsspec knows many more, some of which run templates or load pickles that a file names.
PROTOCOLS = ("file", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "webdav", "webdavs", "http", "https")


class Objects:
    """``FOLDER/ab/abcdef…`` for every file with that SHA-256. ``shown`` is the URL without a password."""

    def __init__(self, url: str, options: Mapping[str, Mapping[str, Any]]) -> None:
        self.shown = _shown(url)
        _check_protocol(url, self.shown)
        told: dict[str, Any] = {}
        for start, more in options.items():
            if url.startswith(start):
                told |= more
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise MissingExtra.for_package("fsspec", "team", f"Files at {self.shown}") from None
        address = url if "://" in url else Path(url).expanduser().absolute().as_uri()
        try:
            self.system, self.root = url_to_fs(address, **told)
        except ImportError as error:
            raise MissingExtra(f"{self.shown} needs a package that is not here: {error}.", "Install it.") from None
        except (ValueError, TypeError) as error:
            raise BadSetting(f"{self.shown} is no place for files ({type(error).__name__}: {error}).") from None
        self.root = self.root.rstrip("/")
        self._folders: set[str] = set()

    def put(self, file: Path, digest: str) -> None:
        """Uploads the file whole. Raises NotDelivered."""
        key = self._key(digest)
        folder = key.rpartition("/")[0]
        try:
            if folder not in self._folders:
                self.system.makedirs(folder, exist_ok=True)
                self._folders.add(folder)
            if _is_local(self.system):
                _put_locally(file, Path(key))
            else:
                self.system.put_file(str(file), key)
        except Exception as error:  # every file system has errors of its own
            raise NotDelivered(
                f"{self.shown} did not take {file.name} ({type(error).__name__}: {error}).", "Is it up?"
            ) from error

    def fetch(self, digest: str, to: Path) -> None:
        """Downloads into ``to``, which appears whole and checked or not at all. Raises Damaged, NotDelivered."""
        new = to.with_name(f".{uuid.uuid4().hex}")
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            with disk_space(to):
                self.system.get_file(self._key(digest), str(new))
                if digest_file(new) != digest:
                    raise Damaged(f"{self.shown}/{digest[:2]}/{digest} is not what was stored: its hash differs.")
                sync_file(new)
                new.replace(to)
        except FileNotFoundError:
            raise Damaged(f"The stored file {digest[:12]} is gone from {self.shown}.") from None
        except EvermodelError:
            raise
        except Exception as error:  # every file system has errors of its own
            raise NotDelivered(
                f"{self.shown} cannot be read ({type(error).__name__}: {error}).", "Is it up?"
            ) from error
        finally:
            new.unlink(missing_ok=True)

    def selects(self, needed: Needed, rows: Rows) -> bool:
        """Every file is kept here."""
        return True

    def list_faults(self) -> list[str]:
        """Beside missing and damaged files there is nothing to say."""
        return []

    def size(self) -> int:
        """Bytes of everything there."""
        return sum(stored.size for stored in self.list_stored())

    def has(self, digest: str) -> bool:
        return bool(self.system.exists(self._key(digest)))

    def discard(self, digest: str) -> None:
        try:
            self.system.rm_file(self._key(digest))
        except FileNotFoundError:
            return

    def list_stored(self) -> Iterator[Stored]:
        """Every file there is, with its size and when it was last written (now where the other side does not say)."""
        self.system.invalidate_cache()
        try:
            found = self.system.find(self.root, detail=True)
        except FileNotFoundError:
            return
        for key, told in found.items():
            name = str(key).rsplit("/", 1)[-1]
            kind = "blob" if len(name) == 64 else "left over"
            yield Stored(kind, name, str(key), int(told.get("size") or 0), _moment(told))

    def remove(self, found: Stored) -> None:
        try:
            self.system.rm_file(str(found.at))
        except FileNotFoundError:
            return

    def _key(self, digest: str) -> str:
        return f"{self.root}/{digest[:2]}/{digest}"


def _check_protocol(url: str, shown: str) -> None:
    """Raises BadSetting unless fsspec would open exactly one file system, of a kind that only keeps files."""
    protocol, separator, _ = url.partition("://")
    if "::" in url or (separator and protocol not in PROTOCOLS):
        raise BadSetting(
            f"Files of a registry cannot be kept at {shown}.",
            f"Name a folder, or a URL that begins with one of: {', '.join(PROTOCOLS)}; URLs cannot be chained.",
        )


def _is_local(system: Any) -> bool:
    return "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,))


def _put_locally(file: Path, to: Path) -> None:
    """A local folder knows half-written files, which an object store does not: written beside, then renamed."""
    new = to.with_name(f".{uuid.uuid4().hex}")
    try:
        with disk_space(to):
            shutil.copyfile(file, new)
            sync_file(new)
            new.replace(to)
    finally:
        new.unlink(missing_ok=True)


def _moment(told: Mapping[str, Any]) -> float:
    for key in ("mtime", "LastModified", "modified", "last_modified", "updated", "created"):
        value = told.get(key)
        if isinstance(value, (int, float)):
            return float(value)
        if isinstance(value, dt.datetime):
            return value.timestamp()
    return time.time()


def _shown(url: str) -> str:
    """The URL without user, password and query, any of which may be a secret."""
    start, there, rest = url.partition("://")
    if not there:
        return url
    host, slash, path = rest.partition("/")
    return f"{start}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}".rstrip("/")
