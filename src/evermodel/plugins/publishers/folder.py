"""A folder a version, and a link ``current`` to the one in service: for a server of your own that reads model files."""

from __future__ import annotations

import shutil
from pathlib import Path

from evermodel.core.errors import NotDelivered
from evermodel.core.publication import Publication
from evermodel.plugins.publishers._current_link import point_to, read_current, write_whole

__all__ = ["find_published", "folder"]


def find_published(name: str, to: str, /) -> str:
    """The version that ``current`` leads to."""
    return read_current(Path(to) / name)


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
            write_whole(version, lambda at: shutil.copytree(publication.files, at))
        if read_current(place) != publication.version:
            point_to(version)
    except OSError as error:
        raise NotDelivered(f"{place} cannot be written to: {error.strerror}.", "Is it a folder of yours?") from error
    return str(version)
