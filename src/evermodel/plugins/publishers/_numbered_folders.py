"""Numbered folders, of which a server reads the one with the highest number: each written whole, then renamed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from evermodel.core.errors import BadModel, EvermodelError
from evermodel.core.files import sync_file, sync_folder
from evermodel.core.publication import Publication


def list_numbers(place: Path) -> list[int]:
    """The numbers that are there, the lowest first."""
    return sorted(int(path.name) for path in place.glob("[0-9]*") if path.name.isdecimal() and path.is_dir())


def read_newest(place: Path, note: str) -> str:
    """The version in the folder with the highest number, by the note beside it; "" where somebody else put it there."""
    numbers = list_numbers(place)
    if not numbers:
        return ""
    try:
        return str(json.loads((place / str(numbers[-1]) / note).read_text())["version"])
    except (OSError, ValueError, KeyError):
        return ""


def add_numbered(place: Path, write: Callable[[Path], None]) -> Path:
    """A new folder, one number above the highest: ``write`` fills a folder beside it, which then is renamed."""
    numbers = list_numbers(place)
    target = place / str(numbers[-1] + 1 if numbers else 1)
    staged = Path(tempfile.mkdtemp(prefix=".publishing-", dir=place))
    try:
        write(staged / "version")
        for file in (staged / "version").rglob("*"):
            if file.is_file():
                sync_file(file)
        (staged / "version").rename(target)
        sync_folder(place)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return target


def add_note(note: Path, publication: Publication) -> None:
    """Who made the folder, for ``read_newest``, and beside it how rows become what the model takes."""
    note.parent.mkdir(exist_ok=True)
    note.write_text(json.dumps({"name": publication.name, "version": publication.version}))
    for file in publication.files.glob("*.transform.json"):
        shutil.copy(file, note.parent / "transform.json")


def write_or_refuse(write: Callable[[], None], what: str) -> None:
    """Runs ``write``. Raises BadModel with ``what`` for whatever a framework raises that cannot write so."""
    try:
        write()
    except (EvermodelError, OSError):
        raise
    except Exception as error:  # frameworks say in many ways what they cannot write
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
        raise BadModel(f"{what} ({said}).", "Publish it with folder: or mlflow:.") from error
