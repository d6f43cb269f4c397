"""Files in a folder of this machine, or of a shared disk: versions as ``versions/NAME/vN``, blobs by their SHA-256."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from evermodel.core.errors import BadSetting, Damaged
from evermodel.core.files import digest_file, disk_space, sync_file, sync_folder
from evermodel.core.process_owner import is_gone, owner
from evermodel.core.store_upkeep import Stored

DIGEST = 64  # hexadecimal digits
DIGEST_TEXT = re.compile(r"[0-9a-f]{64}")


class Folder:
    """What a killed process leaves behind is never pointed at: a folder without a row is not a version."""

    def __init__(self, at: Path) -> None:
        self.at = at
        self.staging = at / "staging"
        try:
            with disk_space(at):
                for folder in ("versions", "blobs", "staging"):
                    (at / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:  # a file, no right to write, a read-only disk, a name too long
            raise BadSetting(f"The registry must be a folder we can write to. Got {at} ({error.strerror}).") from None

    def staging_folder(self) -> Path:
        return make_staging_folder(self.staging)

    # -- blobs ------------------------------------------------------------------------------------------------------
    def put_blob(self, staged: Path) -> str:
        digest = digest_file(staged)
        to = self.blob_path(digest)
        with disk_space(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            staged.chmod(0o600)  # rows and models are the owner's
            staged.touch()  # however long it was staged: what was just kept is not garbage yet
            sync_file(staged)
            staged.replace(to)
            sync_folder(to.parent)
        return digest

    def get_blob(self, digest: str) -> Path:
        at = self.blob_path(digest)
        if not at.is_file():
            raise Damaged(f"The stored file {digest[:12]} is gone from {at}.", "'evermodel doctor' says what helps.")
        if digest_file(at) != digest:
            raise Damaged(f"{at} is not what was stored: its hash differs.", "'evermodel doctor' says what helps.")
        return at

    def delete_blob(self, digest: str) -> None:
        self.blob_path(digest).unlink(missing_ok=True)

    def blob_path(self, digest: str) -> Path:
        if not DIGEST_TEXT.fullmatch(digest):  # a tampered row must not lead out of the folder
            what = f"A stored file is named {digest[:80]!r}, which is no SHA-256."
            raise Damaged(what, "'evermodel doctor' says what helps.")
        return self.at / "blobs" / digest[:2] / digest

    # -- versions ---------------------------------------------------------------------------------------------------
    def ready(self, staged: Path) -> dict[str, str]:
        """Writes the staged files through to the disk; returns path -> SHA-256."""
        files = {}
        with disk_space(self.at):
            for file in sorted(p for p in staged.rglob("*") if p.is_file()):
                file.chmod(0o600)
                sync_file(file)
                files[file.relative_to(staged).as_posix()] = digest_file(file)
        return files

    def place(self, staged: Path, name: str, version: str) -> None:
        """One rename; called inside the transaction that writes the row."""
        to = self.version_path(name, version)
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.exists():  # left by a writer that was killed between its rename and its commit
            shutil.rmtree(to)
        staged.rename(to)
        sync_folder(to.parent)

    def take_back(self, name: str, version: str) -> None:
        shutil.rmtree(self.version_path(name, version), ignore_errors=True)

    def version_folder(self, name: str, version: str, files: Mapping[str, str]) -> Path:
        at = self.version_path(name, version)
        for path, digest in files.items():
            file = at / path
            if not file.is_file() or digest_file(file) != digest:
                what = "is not what was stored: its hash differs" if file.is_file() else "is gone"
                raise Damaged(
                    f"{name} {version}: {file} {what}.", f"evermodel rollback {name}, or 'evermodel doctor --repair'."
                )
        return at

    def version_path(self, name: str, version: str) -> Path:
        return self.at / "versions" / name / version

    # -- care -------------------------------------------------------------------------------------------------------
    def find(self, digest: str, where: tuple[str, str, str] | None) -> Path | None:
        """The file itself, not checked: a blob, or a version's file (name, version, path)."""
        at = self.blob_path(digest) if where is None else self.version_path(*where[:2]) / where[2]
        return at if at.is_file() else None

    def mend(self, digest: str, where: tuple[str, str, str] | None, whole: Path) -> None:
        """Puts ``whole``, a file with that hash, in its place."""
        to = self.blob_path(digest) if where is None else self.version_path(*where[:2]) / where[2]
        new = self.staging_folder() / "whole"
        with disk_space(to):
            shutil.copyfile(whole, new)
            sync_file(new)
            to.parent.mkdir(parents=True, exist_ok=True)
            new.replace(to)
            sync_folder(to.parent)

    def list_stored(self) -> Iterator[Stored]:
        """Everything there is: blobs by their digest, versions by "NAME/vN", work in progress of dead processes."""
        blobs = (self.at / "blobs").glob("??/*")
        versions = (self.at / "versions").glob("*/*")
        for kind, key, at in chain(
            (("blob" if len(at.name) == DIGEST else "left over", at.name, at) for at in blobs),
            (("version", f"{at.parent.name}/{at.name}", at) for at in versions),
            (("left over", at.name, at) for at in find_abandoned(self.staging)),
        ):
            measured = _size_and_age(at)
            if measured is not None:  # else it went meanwhile, and may be there again: nothing is known of its age
                yield Stored(kind, key, at, *measured)

    def remove(self, found: Stored) -> None:
        at = found.at
        assert isinstance(at, Path)  # noqa: S101 - we made it above
        if at.is_dir():
            shutil.rmtree(at, ignore_errors=True)
        else:
            at.unlink(missing_ok=True)


def _size_and_age(at: Path) -> tuple[int, float] | None:
    """Bytes, and when it was last written (Unix seconds); None if it went meanwhile."""
    try:
        if not at.is_dir():
            told = at.stat()
            return told.st_size, told.st_mtime
        parts = [p.stat() for p in at.rglob("*") if p.is_file()]
        return sum(p.st_size for p in parts), max([at.stat().st_mtime, *(p.st_mtime for p in parts)])
    except FileNotFoundError:
        return None


def make_staging_folder(staging: Path) -> Path:
    """An empty folder of our own in ``staging``."""
    for left in find_abandoned(staging):
        shutil.rmtree(left, ignore_errors=True)
    folder = staging / f"{owner()}~{uuid.uuid4().hex}"
    with disk_space(folder):
        folder.mkdir(parents=True)
    return folder


def find_abandoned(staging: Path) -> list[Path]:
    """What processes left that run no more."""
    return [at for at in staging.iterdir() if is_gone(at.name)] if staging.is_dir() else []
