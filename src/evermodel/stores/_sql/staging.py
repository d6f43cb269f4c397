"""Folders for work in progress, each of one process; what dead processes left is removed by the next."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from evermodel.core.files import disk_space
from evermodel.core.owners import is_gone, owner


def fresh(staging: Path) -> Path:
    """An empty folder of our own in ``staging``."""
    for left in abandoned(staging):
        shutil.rmtree(left, ignore_errors=True)
    folder = staging / f"{owner()}~{uuid.uuid4().hex}"
    with disk_space(folder):
        folder.mkdir(parents=True)
    return folder


def abandoned(staging: Path) -> list[Path]:
    """What processes left that run no more."""
    return [at for at in staging.iterdir() if is_gone(at.name)] if staging.is_dir() else []
