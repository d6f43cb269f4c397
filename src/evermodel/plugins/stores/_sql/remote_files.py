"""A store's files behind a URL, with a cache of them in the registry that is checked by hash each time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from evermodel.core.errors import Damaged
from evermodel.core.files import digest_file, disk_space
from evermodel.core.store_upkeep import Stored
from evermodel.plugins.stores._sql.folder_files import find_abandoned, make_staging_folder
from evermodel.plugins.stores._sql.object_files import Objects


class Remote:
    """A file is uploaded whole before the row that names it is committed. The cache may be deleted at any time."""

    def __init__(self, registry: Path, objects: Objects) -> None:
        self.objects = objects
        self.staging = registry / "staging"
        self.cache = registry / "cache"

    def staging_folder(self) -> Path:
        return make_staging_folder(self.staging)

    def put_blob(self, staged: Path) -> str:
        digest = digest_file(staged)
        self.objects.put(staged, digest)
        to = self._cached(digest)
        with disk_space(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(to)
        return digest

    def get_blob(self, digest: str) -> Path:
        at = self._cached(digest)
        if not at.is_file() or digest_file(at) != digest:
            self.objects.fetch(digest, at)
        return at

    def delete_blob(self, digest: str) -> None:
        self._cached(digest).unlink(missing_ok=True)
        self.objects.discard(digest)

    def ready(self, staged: Path) -> dict[str, str]:
        files = {}
        for file in sorted(p for p in staged.rglob("*") if p.is_file()):
            digest = digest_file(file)
            self.objects.put(file, digest)
            files[file.relative_to(staged).as_posix()] = digest
        return files

    def place(self, staged: Path, name: str, version: str) -> None:
        """The uploaded files count from the row on; the staged folder becomes the cache's, or goes."""
        to = self._version(name, version)
        shutil.rmtree(to, ignore_errors=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(to)

    def take_back(self, name: str, version: str) -> None:
        shutil.rmtree(self._version(name, version), ignore_errors=True)

    def version_folder(self, name: str, version: str, files: Mapping[str, str]) -> Path:
        at = self._version(name, version)
        for path, digest in files.items():
            file = at / path
            if file.is_file() and digest_file(file) == digest:
                continue
            try:
                self.objects.fetch(digest, file)
            except Damaged as error:
                raise Damaged(
                    f"{name} {version}: {path}: {error.message}",
                    f"evermodel rollback {name}, or 'evermodel doctor --repair'.",
                ) from None
        return at

    def _cached(self, digest: str) -> Path:
        return self.cache / "blobs" / digest[:2] / digest

    def _version(self, name: str, version: str) -> Path:
        return self.cache / "versions" / name / version

    # -- care -------------------------------------------------------------------------------------------------------
    def find(self, digest: str, where: tuple[str, str, str] | None) -> Path | None:
        """A fresh copy of what the other side has; None if it has nothing, or something else."""
        to = self.cache / "found" / digest
        try:
            self.objects.fetch(digest, to)
        except Damaged:
            return None
        return to

    def mend(self, digest: str, where: tuple[str, str, str] | None, whole: Path) -> None:
        self.objects.put(whole, digest)

    def list_stored(self) -> Iterator[Stored]:
        yield from self.objects.list_stored()
        for at in find_abandoned(self.staging):
            yield Stored("left over", at.name, at, 0, at.stat().st_mtime)

    def remove(self, found: Stored) -> None:
        if isinstance(found.at, Path):
            shutil.rmtree(found.at, ignore_errors=True)
        else:
            self._cached(found.key).unlink(missing_ok=True)
            self.objects.remove(found)
