"""A publisher: one zip file a model, for devices that load a single file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from evermodel.core.errors import NotDelivered
from evermodel.core.publication import Publication


def find_published(name: str, to: str, /) -> str:
    """The version that the comment of the file names."""
    at = Path(to) / f"{name}.zip"
    if not at.is_file():
        return ""
    with zipfile.ZipFile(at) as archive:
        return archive.comment.decode()


def zip_file(publication: Publication, to: str, /) -> str:
    """``TO/NAME.zip`` with the model's files; it is written beside the old one and takes its place in one step.

    Example:
        $ evermodel publish churn --to zip_file:/srv/devices
    """
    at = Path(to) / f"{publication.name}.zip"
    if find_published(publication.name, to) == publication.version:
        return str(at)
    new = at.with_suffix(".new")
    try:
        at.parent.mkdir(parents=True, exist_ok=True)
        if not publication.files.is_dir():
            raise NotDelivered(f"The files of {publication.name} {publication.version} are not at {publication.files}.")
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(publication.files.rglob("*")):
                archive.write(file, file.relative_to(publication.files))
            archive.comment = publication.version.encode()
        new.replace(at)
    except OSError as error:
        raise NotDelivered(f"{at} cannot be written ({error.strerror}).", "Is its folder yours?") from error
    return str(at)
