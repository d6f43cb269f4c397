"""A store's files with second copies: every file that is put is also put there, under its SHA-256."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from evermodel.core.errors import NotDelivered
from evermodel.core.files import digest_file
from evermodel.plugins.stores._sql.folder_files import Folder
from evermodel.plugins.stores._sql.object_files import Objects
from evermodel.plugins.stores._sql.remote_files import Remote

logger = logging.getLogger(__name__)


class FilesWithCopies:
    """A copy that cannot be reached does not stop the work: ``evermodel doctor`` finds what it lacks."""

    def __init__(self, files: Folder | Remote, copies: Sequence[Objects]) -> None:
        self._files, self._copies = files, copies
        self.staging_folder, self.get_blob, self.version_folder = (
            files.staging_folder,
            files.get_blob,
            files.version_folder,
        )
        self.place, self.take_back = files.place, files.take_back

    def put_blob(self, staged: Path) -> str:
        self._copy(staged, digest_file(staged))
        return self._files.put_blob(staged)

    def delete_blob(self, digest: str) -> None:
        self._files.delete_blob(digest)
        for copy in self._copies:
            try:
                copy.discard(digest)
            except Exception:  # every file system has errors of its own; gc removes the file later
                logger.warning("The second copy of %s was not deleted.", digest[:12], exc_info=True)

    def ready(self, staged: Path) -> Mapping[str, str]:
        files = self._files.ready(staged)
        for path, digest in files.items():
            self._copy(staged / path, digest)
        return files

    def _copy(self, file: Path, digest: str) -> None:
        for copy in self._copies:
            with suppress(NotDelivered):
                copy.put(file, digest)
