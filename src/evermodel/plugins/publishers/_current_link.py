"""A folder a version, each written whole, and a link ``current`` to the one in service."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from evermodel.core.files import sync_file, sync_folder

CURRENT = "current"


def read_current(place: Path) -> str:
    """The name of the folder that ``current`` leads to; "" without one."""
    link = place / CURRENT
    return link.readlink().name if link.is_symlink() and link.exists() else ""


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """``write`` makes a folder beside ``target``, which is synced and renamed: it is there whole or not at all."""
    staged = Path(tempfile.mkdtemp(prefix=".publishing-", dir=target.parent))
    try:
        write(staged / target.name)
        for file in (staged / target.name).rglob("*"):
            if file.is_file():
                sync_file(file)
        (staged / target.name).rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def point_to(version: Path) -> None:
    """Readers follow the old link or the new one: a link is replaced by renaming another over it."""
    place = version.parent
    folder_of_link = Path(tempfile.mkdtemp(prefix=".publishing-", dir=place))
    try:
        new = folder_of_link / CURRENT
        new.symlink_to(version.name)
        new.replace(place / CURRENT)
        sync_folder(place)
    finally:
        folder_of_link.rmdir()
