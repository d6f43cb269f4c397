"""Backups that were made to do harm: nothing is written outside, nothing swells, one sentence each."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import evermodel
from evermodel.core.errors import EvermodelError
from tests.cli.ground import make_ground

Tar = tarfile.TarFile


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    ground = make_ground(tmp_path_factory.mktemp("ground"))
    at = ground.folder / "good.tar"
    evermodel.backup(to=at, registry=ground.registry)
    return at


def add(tar: Tar, name: str, data: bytes = b"x") -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def link(tar: Tar, name: str, to: str, kind: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    tar.addfile(info)


def more(good: Path, to: Path, change: Callable[[Tar], None]) -> Path:
    """The good backup with members added behind its own."""
    with tarfile.open(good) as old, tarfile.open(to, "w") as new:
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        change(new)
    return to


def forge(good: Path, to: Path, change: Callable[[dict[str, list[dict[str, object]]]], object]) -> Path:
    """The good backup with other rows, and their right hash."""
    with tarfile.open(good) as old, tarfile.open(to, "w") as new:
        files = {m.name: old.extractfile(m).read() for m in old if m.isfile()}
        rows_at = next(n for n in files if n.endswith("rows.json"))
        header_at = next(n for n in files if n.endswith("backup.json"))
        rows = json.loads(files[rows_at])
        change(rows)
        files[rows_at] = json.dumps(rows).encode()
        told = json.loads(files[header_at]) | {"rows_sha256": hashlib.sha256(files[rows_at]).hexdigest()}
        files[header_at] = json.dumps(told).encode()
        for name, data in files.items():
            add(new, name, data)
    return to


OUTSIDE: dict[str, Callable[[Tar, Path], None]] = {
    "dots": lambda tar, at: add(tar, f"../../../../../../{at}"),
    "an absolute path": lambda tar, at: add(tar, str(at)),
    "a link and a file behind it": lambda tar, at: (
        link(tar, "evermodel-backup/files/ab", str(at.parent), tarfile.SYMTYPE),
        add(tar, f"evermodel-backup/files/ab/{at.name}"),
    ),
    "a hard link as the rows": lambda tar, at: link(tar, "evermodel-backup/rows.json", "/etc/passwd", tarfile.LNKTYPE),
    "a link as the rows": lambda tar, at: link(tar, "evermodel-backup/rows.json", "/etc/passwd", tarfile.SYMTYPE),
    "a device": lambda tar, at: link(tar, "evermodel-backup/files/" + "a" * 64, "", tarfile.CHRTYPE),
    "a pipe": lambda tar, at: link(tar, "evermodel-backup/files/" + "b" * 64, "", tarfile.FIFOTYPE),
    "dots before a digest": lambda tar, at: add(tar, "../../../" + "c" * 64),
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_nothing_is_written_outside(good, tmp_path, kind):
    """Members that are no file of a backup are passed over: the backup itself is whole."""
    outside = tmp_path / "outside" / "ESCAPED"
    outside.parent.mkdir()
    at = more(good, tmp_path / "evil.tar", lambda tar: OUTSIDE[kind](tar, outside))
    evermodel.restore(at, to=tmp_path / "new")
    assert not outside.exists() and list(outside.parent.iterdir()) == []
    inside = [p for p in (tmp_path / "new").rglob("*") if p.is_symlink() or not (p.is_file() or p.is_dir())]
    assert inside == [] and evermodel.doctor(registry=tmp_path / "new").healthy


def sparse_tar(to: Path) -> Path:
    """Ten kilobytes that claim a file of 6 GB."""
    size = str(6 << 30)
    info = tarfile.TarInfo("x/files/" + "d" * 64)
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,0",
        "GNU.sparse.numblocks": "1",
        "GNU.sparse.size": size,
        "GNU.sparse.realsize": size,
    }
    with tarfile.open(to, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    return to


def packed_zeros(to: Path) -> Path:
    """A .tar.gz that unpacks to 2 GB of zeros."""
    info = tarfile.TarInfo("x/files/" + "e" * 64)
    info.size = 2 << 30
    with gzip.open(to, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _ in range(64):
            file.write(bytes(32 << 20))
    return to


@pytest.mark.parametrize("make", [sparse_tar, packed_zeros])
def test_a_bomb_is_not_unpacked(tmp_path, make, monkeypatch):
    at = make(tmp_path / "bomb.tar.gz" if make is packed_zeros else tmp_path / "bomb.tar")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    began = time.process_time()
    with pytest.raises(EvermodelError, match="far more than it holds"):
        evermodel.restore(at, to=tmp_path / "new")
    written = sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file() and f != at)
    assert time.process_time() - began < 60 and written < 1_000_000_000
    assert not (tmp_path / "new" / "evermodel.db").exists()


CUT = {"empty": 0, "a header": 300, "half": 3000}


@pytest.mark.parametrize("kind", CUT)
def test_a_cut_backup_is_refused(good, tmp_path, kind):
    (tmp_path / "cut.tar").write_bytes(good.read_bytes()[: CUT[kind]])
    with pytest.raises(EvermodelError) as error:
        evermodel.restore(tmp_path / "cut.tar", to=tmp_path / "new")
    assert "\n" not in error.value.message and not (tmp_path / "new" / "evermodel.db").exists()


def alias(name: str) -> Callable[[dict[str, list[dict[str, object]]]], object]:
    return lambda rows: rows["aliases"].append({"name": name, "alias": "champion", "target": "v1"})


def card(**fields: object) -> Callable[[dict[str, list[dict[str, object]]]], None]:
    def change(rows: dict[str, list[dict[str, object]]]) -> None:
        row = rows["versions"][0]
        row["card"] = json.dumps({**json.loads(str(row["card"])), **fields})

    return change


ROWS = {
    "a name with lines of Nagios": alias("x\n}\ndefine command {\n command_line /usr/bin/touch X\n}\n#"),
    "a name that drives the terminal": alias("\x1b]0;OWNED\x07\x1b[2J"),
    "a name that is an option": alias("-rf"),
    "a name that is a path": alias("../../x"),
    "a name that is nothing": alias(""),
    "a name of a thousand letters": alias("x" * 1000),
    "a name that turns text around": alias("\u202echurn"),
    "a file outside": card(files={"../../../x": "a" * 64}),
    "an absolute file": card(files={"/etc/x": "a" * 64}),
    "another model's card": card(name="../../x"),
    "a card of the future": card(schema=999),
    "a card that is a list": lambda rows: rows["versions"][0].update(card="[]"),
    "a card nested": lambda rows: rows["versions"][0].update(card="[" * 100_000),
    "a number that is text": lambda rows: rows["versions"][0].update(number="../x"),
    "an event of no kind": lambda rows: rows["events"][0].update(kind="os.system"),
    "an event nested": lambda rows: rows["events"][0].update(data="[" * 100_000),
    "tables that are numbers": lambda rows: rows.update(versions=[1, 2]),
    "no tables": lambda rows: rows.clear(),
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_that_we_never_write_are_refused(good, tmp_path, kind):
    at = forge(good, tmp_path / "forged.tar", ROWS[kind])
    with pytest.raises(EvermodelError) as error:
        evermodel.restore(at, to=tmp_path / "new")
    assert error.value.exit_code == 2
    assert "\n" not in error.value.message and len(error.value.message) < 500
    assert not (tmp_path / "new" / "versions").exists() or not any((tmp_path / "new" / "versions").iterdir())


def test_a_header_of_a_length_beyond_any_file_is_refused(tmp_path):
    header = tarfile.TarInfo("header")
    header.type, told = tarfile.XHDTYPE, b"9" * 30 + b" path=x\n"
    header.size = len(told)
    at = tmp_path / "header.tar"
    at.write_bytes(header.tobuf(tarfile.PAX_FORMAT) + told.ljust(512, b"\0") + bytes(1024))
    with pytest.raises(EvermodelError, match="is no whole backup") as caught:
        evermodel.restore(at, to=tmp_path / "registry")
    assert "\n" not in caught.value.message
