"""A backup: a folder, or one tar file, of the rows of one moment and every file they need, under its SHA-256."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadData, BadSetting, NotFound
from evermodel.core.files import digest_file, disk_space, sync_file, sync_folder

FORMAT = 1
ROOM, MOST_RATIO = 256_000_000, 100  # what a backup may unpack to: bytes, and times its own size
TAR = (".tar", ".tar.gz", ".tgz")


def is_tar(to: Path) -> bool:
    return to.name.endswith(TAR)


@contextmanager
def writing(to: Path) -> Iterator[Path]:
    """A folder to fill; it becomes ``to``, folder or tar, whole, or nothing does. Raises BadSetting where ``to`` is."""
    if to.exists() and (is_tar(to) or not to.is_dir() or any(to.iterdir())):
        raise BadSetting(f"`to` must be a new file or an empty folder. Got {to}, which is there already.")
    if not to.absolute().parent.is_dir():
        raise NotFound(f"There is no folder {to.absolute().parent}.", "Make it first.")
    folder = to.with_name(f".writing-{to.name}")
    shutil.rmtree(folder, ignore_errors=True)
    packed = folder.with_name(f".packing-{to.name}")
    try:
        with disk_space(to):
            folder.mkdir(mode=0o700, parents=True)
            (folder / "files").mkdir()
            yield folder
            if not is_tar(to):
                if to.exists():
                    to.rmdir()
                folder.rename(to)
            else:
                with tarfile.open(packed, "w" if to.suffix == ".tar" else "w:gz") as tar:
                    tar.add(folder, arcname="evermodel-backup")
                packed.chmod(0o600)
                sync_file(packed)
                packed.replace(to)
            sync_folder(to.absolute().parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        packed.unlink(missing_ok=True)


def write_rows(folder: Path, rows: Mapping[str, list[dict[str, Any]]], summary: Mapping[str, Any]) -> None:
    """The rows, and what says that they are whole."""
    text = json.dumps(rows, default=str).encode()
    (folder / "rows.json").write_bytes(text)
    header = {"format": FORMAT, "rows_sha256": hashlib.sha256(text).hexdigest(), **summary}
    (folder / "backup.json").write_text(json.dumps(header, indent=1))
    for name in ("rows.json", "backup.json"):
        (folder / name).chmod(0o600)
        sync_file(folder / name)


def file_in(folder: Path, digest: str) -> Path:
    return folder / "files" / digest[:2] / digest


@contextmanager
def reading(at: Path, scratch: Path) -> Iterator[Path]:
    """The backup as a folder; a tar is unpacked into ``scratch`` first, member by member: no path in it is followed."""
    if not at.exists():
        raise NotFound(f"There is no backup {str(at)!r}.", "Give what 'evermodel backup' wrote.")
    if at.is_dir():
        yield at
        return
    folder = scratch / "unpacked"
    (folder / "files").mkdir(parents=True)
    try:
        room = ROOM + MOST_RATIO * at.stat().st_size
        with tarfile.open(at) as tar, disk_space(folder):
            for member in tar:
                room -= member.size
                if room < 0 or member.issparse():
                    raise BadData(
                        f"{at.name} unpacks to far more than it holds ({member.name[-80:]!r}).", "Give another backup."
                    )
                to = _place(folder, member)
                source = tar.extractfile(member) if to is not None else None
                if to is not None and source is not None:
                    to.parent.mkdir(parents=True, exist_ok=True)
                    with to.open("wb") as target:
                        shutil.copyfileobj(source, target)
        yield folder
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError) as error:
        said = (str(error).splitlines() or [""])[0].rstrip(":")
        raise BadData(f"{at.name} is no whole backup ({type(error).__name__}: {said}).", "Copy it again.") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(folder: Path, member: tarfile.TarInfo) -> Path | None:
    name = member.name.rsplit("/", 1)[-1]
    if not member.isfile():
        return None
    if name in ("rows.json", "backup.json"):
        return folder / name
    hexadecimal = len(name) == 64 and set(name) <= set("0123456789abcdef")
    return file_in(folder, name) if hexadecimal else None


def read_rows(folder: Path) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """The rows, and what ``backup.json`` says of them. Raises BadData."""
    try:
        told = json.loads((folder / "backup.json").read_text())
        text = (folder / "rows.json").read_bytes()
        written = told["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadData(f"{folder} is no backup of Evermodel.", "Give what 'evermodel backup' wrote.") from None
    if written != FORMAT:
        raise BadData(f"The backup is of format {written}; this release reads {FORMAT}.", "Update evermodel.")
    if hashlib.sha256(text).hexdigest() != told["rows_sha256"]:
        raise BadData("The rows of the backup are not what was written: their hash differs.", "Give another backup.")
    return json.loads(text), told


def whole_file(folder: Path, digest: str) -> Path | None:
    """The file of that hash in the backup, if it is there and whole."""
    at = file_in(folder, digest)
    return at if at.is_file() and digest_file(at) == digest else None
