"""A publisher that writes into the file which readers have open."""

from __future__ import annotations

import zipfile
from pathlib import Path

from evermodel.core.publication import Publication
from stranger_plugins.zip_file import find_published

__all__ = ["find_published", "zip_file"]


def zip_file(publication: Publication, to: str, /) -> str:
    """The same file.

    Example:
        $ evermodel publish churn --to zip_file:/srv/devices
    """
    at = Path(to) / f"{publication.name}.zip"
    at.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(at, "w") as archive:
        for file in sorted(publication.files.rglob("*")):
            archive.write(file, file.relative_to(publication.files))
        archive.comment = publication.version.encode()
    return str(at)
