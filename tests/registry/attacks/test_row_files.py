"""Files of rows that were made to do harm: one sentence each, bounded memory and time, nothing read outside."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from evermodel.core.errors import EvermodelError

ROOT = Path(__file__).parents[3]
READ = """
import json, resource, sys, time
from evermodel.core.data.scan import scan, spread_rows
from evermodel.core.errors import EvermodelError
import evermodel.plugins.sources.csv, evermodel.plugins.sources.parquet
for file in sys.argv[1:]:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        answer = ["read", str(spread_rows(scan(file)).shape)]
    except EvermodelError as error:
        answer = [type(error).__name__, error.message]
    except BaseException as error:
        answer = ["unexpected", f"{type(error).__name__}: {error}"]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([file, *answer, grown * 1024, time.process_time() - began]), flush=True)
"""


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def workbook(sheet: bytes) -> bytes:
    import openpyxl

    book, out, changed = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    book.active.append(["a", "b"])
    book.active.append([1, 2])
    book.save(out)
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for name in old.namelist():
            new.writestr(name, sheet if name.endswith("sheet1.xml") else old.read(name))
    return changed.getvalue()


def parquet_of_zeros(rows: int) -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"a": pl.repeat(0, rows, eager=True, dtype=pl.Int8)}).write_parquet(out, row_group_size=rows)
    return out.getvalue()


ZEROS = bytes(1 << 20)
MANY = b"a,b\n" + b"0,0\n" * (1 << 18)
FILES: dict[str, Callable[[], bytes]] = {
    "bomb.csv.gz": lambda: gzip.compress(MANY) + gzip.compress(MANY[4:] * 100, 9) * 16,
    "bomb.csv.bz2": lambda: bz2.compress(MANY) + bz2.compress(b"0,0\n" * (1 << 24)) * 20,
    "bomb.csv.xz": lambda: lzma.compress(MANY) + lzma.compress(b"0,0\n" * (1 << 24)) * 20,
    "cut.csv.gz": lambda: gzip.compress(MANY)[:500],
    "noise.csv.gz": lambda: b"\x1f\x8b\x08" + bytes(range(200)),
    "sheet of 1 GB.xlsx": lambda: workbook(b"<worksheet>" + b" " * 1_000_000_000 + b"</worksheet>"),
    "sheet nested.xlsx": lambda: workbook(b"<worksheet>" + b"<a>" * 300_000),
    "sheet of entities.xlsx": lambda: workbook(
        b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 10_000 + b'">]><worksheet>' + b"&a;" * 100_000 + b"</worksheet>"
    ),
    "sheet that names a file.xlsx": lambda: workbook(
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet><sheetData><row r="1"><c r="A1" t="str">'
        b"<v>&a;</v></c></row></sheetData></worksheet>"
    ),
    "no workbook.xlsx": lambda: b"PK\x03\x04" + bytes(range(256)),
    "zeros.parquet": lambda: parquet_of_zeros(250_000_000),
    "cut.parquet": lambda: parquet_of_zeros(1000)[:-20],
    "footer of 4 GB.parquet": lambda: b"PAR1" + bytes(100) + b"\xff\xff\xff\xff" + b"PAR1",
    "footer of noise.parquet": lambda: b"PAR1" + bytes(range(250)) + b"\xfa\0\0\0" + b"PAR1",
    "noise.arrow": lambda: b"ARROW1\0\0" + bytes(range(256)) + b"\xff\xff\xff\x7f" + b"ARROW1",
    "nested.jsonl": lambda: b'{"a":' + b"[" * 1_000_000,
    "nested.json": lambda: b"[" * 1_000_000,
    "objects.json": lambda: b'{"a":' * 100_000,
    "huge number.jsonl": lambda: b'{"a": 1' + b"0" * 1_000_000 + b"}\n",
    "huge number.json": lambda: b'[{"a": 1}, {"a": ' + b"3" * 52 + b"}]",
    "huge number in a list.json": lambda: b'[{"a": [1]}, {"a": [' + b"3" * 52 + b"]}]",
    "not finite.jsonl": lambda: b'{"a": 1e999999}\n{"a": NaN}\n',
    "surrogate.jsonl": lambda: b'{"\\ud800": 1}\n',
    "columns.csv": lambda: b",".join(b"c%d" % i for i in range(200_000)) + b"\n",
    "field of 50 MB.csv": lambda: b"a,b\n" + b"x" * 50_000_000 + b",1\n",
    "open quotes.csv": lambda: b'a,b\n"1,2\n' * 100_000,
    "zero bytes.csv": lambda: b"a,b\n1,\x002\n",
    "one line of commas.csv": lambda: b"," * 1_000_000 + b"\n",
    "patterns.csv": lambda: b"^.*$,b\n1,2\n",
    "names that drive a terminal.csv": lambda: b"a\x1b]0;X\x07,a\x1b]0;X\x07\n1,2\n",
    "UTF-16.csv": lambda: "a,b\n1,2\n".encode("utf-16"),
    "an archive named.csv": lambda: workbook(b"<worksheet/>"),
}
HARMLESS = {  # read as the rows that they are
    "field of 50 MB.csv",
    "not finite.jsonl",
    "huge number.jsonl",
    "surrogate.jsonl",
    "open quotes.csv",
    "UTF-16.csv",
    "names that drive a terminal.csv",
    "sheet that names a file.xlsx",
}


def test_files(tmp_path):
    """All in one process of their own: what swells or crashes does so there."""
    pytest.importorskip("fastexcel")
    files = []
    for name, make in FILES.items():
        at = tmp_path / name
        at.write_bytes(make())
        files.append(str(at))
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    with (tmp_path / "hollow.csv").open("wb") as hollow:
        hollow.write(b"a,b\n1,2\n")
        hollow.truncate(5 << 30)
    files += [str(tmp_path / name) for name in ("pipe.csv", "device.csv", "hollow.csv")]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    words = [sys.executable, "-W", "ignore", "-c", READ, *files]
    done = subprocess.run(words, capture_output=True, text=True, timeout=400, env={**os.environ, "PYTHONPATH": paths})
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(files), f"ended at {files[len(lines)]}: {done.stderr[-500:]}"
    faults = {}
    for file, kind, message, grown, seconds in lines:
        name = Path(file).name
        wrong = []
        if kind == "unexpected" or "Traceback" in message or "\n" in message or len(message) > 500:
            wrong.append(f"{kind}: {message[:300]!r}")
        if kind == "read" and name not in HARMLESS:
            wrong.append(f"it was read: {message}")
        if grown > 1_300_000_000 or seconds > 30:
            wrong.append(f"{grown / 1e6:.0f} MB, {seconds:.0f} s")
        if wrong:
            faults[name] = wrong
    assert faults == {}


def decode(data: bytes) -> None:
    from evermodel.core.data.image_decoding import decode_images

    decode_images(pl.Series([data], dtype=pl.Binary), (8, 8, 3))


@pytest.mark.parametrize(
    "data",
    [
        png(100_000, 100_000),
        png(9000, 8),
        png(0, 0),
        png(8, 8)[:40],
        b"",
        b"noise" * 50,
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
        b"P6 1000000 1000000 255\n" + bytes(100),
        b"P6 -1 5 255\n" + bytes(100),
        b"GIF89a" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"II*\0" + bytes(100),
    ],
)
def test_pictures(data):
    pytest.importorskip("PIL")
    with pytest.raises(EvermodelError) as error:
        decode(data)
    assert "\n" not in error.value.message and len(error.value.message) < 300
