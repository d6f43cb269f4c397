"""A store's files with second copies: every file that is put is also put there, under its SHA-256."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from evermodel.core.errors import NotDelivered
from evermodel.core.files import digest_file
from evermodel.stores._sql.folder import Folder
from evermodel.stores._sql.objects import Objects
from evermodel.stores._sql.remote import Remote


class Copied:
    """A copy that cannot be reached does not stop the work: ``evermodel doctor`` finds what it lacks."""

    def __init__(self, files: Folder | Remote, copies: Sequence[Objects]) -> None:
        self._files, self._copies = files, copies
        self.stage, self.blob, self.get = files.stage, files.blob, files.get
        self.place, self.take_back = files.place, files.take_back

    def keep(self, staged: Path) -> str:
        self._copy(staged, digest_file(staged))
        return self._files.keep(staged)

    def discard(self, digest: str) -> None:
        self._files.discard(digest)
        for copy in self._copies:
            with suppress(Exception):  # left over there: gc removes it
                copy.discard(digest)

    def ready(self, staged: Path) -> Mapping[str, str]:
        files = self._files.ready(staged)
        for path, digest in files.items():
            self._copy(staged / path, digest)
        return files

    def _copy(self, file: Path, digest: str) -> None:
        for copy in self._copies:
            with suppress(NotDelivered):
                copy.put(file, digest)
