"""A folder a version, and a link ``current`` to the one in service: for a server of your own that reads model files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from evermodel.core.errors import NotDelivered
from evermodel.core.files import sync_file, sync_folder
from evermodel.core.publication import Publication

__all__ = ["find_published", "folder"]
CURRENT = "current"


def find_published(name: str, to: str, /) -> str:
    """The version that ``current`` leads to."""
    link = Path(to) / name / CURRENT
    return link.readlink().name if link.is_symlink() and link.exists() else ""


def folder(publication: Publication, to: str, /) -> str:
    """``TO/NAME/VERSION`` with the model's files, then ``TO/NAME/current`` moved to it in one step.

    Example:
        $ evermodel publish churn --to folder:/srv/models
    """
    place = Path(to) / publication.name
    try:
        place.mkdir(parents=True, exist_ok=True)
        version = place / publication.version
        if not version.exists():
            _copy_whole(publication.files, version)
        if find_published(publication.name, to) != publication.version:
            _point_to(version, place / CURRENT)
    except OSError as error:
        raise NotDelivered(f"{place} cannot be written to: {error.strerror}.", "Is it a folder of yours?") from error
    return str(version)


def _copy_whole(files: Path, version: Path) -> None:
    staged = Path(tempfile.mkdtemp(prefix=".publishing-", dir=version.parent))
    try:
        shutil.copytree(files, staged / version.name)
        for file in (staged / version.name).rglob("*"):
            if file.is_file():
                sync_file(file)
        (staged / version.name).rename(version)
        sync_folder(version.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _point_to(version: Path, link: Path) -> None:
    """Readers follow the old link or the new one: a link is replaced by renaming another over it."""
    folder_of_link = Path(tempfile.mkdtemp(prefix=".publishing-", dir=link.parent))
    try:
        new = folder_of_link / link.name
        new.symlink_to(version.name)
        new.replace(link)
        sync_folder(link.parent)
    finally:
        folder_of_link.rmdir()
