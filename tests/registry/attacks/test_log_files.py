"""Prediction logs that were made to do harm: nothing is written outside, nothing swells, one sentence each."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from evermodel.core.data.logged_predictions import read_outputs
from evermodel.core.data.source import PREDICTION_LOG
from evermodel.core.errors import Damaged
from evermodel.registry.predictions.log_segments import ColumnsFrame, RowsFrame, encode_frame
from evermodel.registry.predictions.seal_segments import create_log, read_segment, seal_orphans

MOST_MEMORY = 100_000_000
COLUMNS = ColumnsFrame("v1", ["a"], ["kind"], [], ["id"], [False, True])
NUMBERS, OUTPUTS = np.array([1.0, 2.0]).tobytes(), np.array([[0.1, 0.9], [0.8, 0.2]]).tobytes()
CODES = np.array([1, 0], np.int32).tobytes()
ROWS = RowsFrame("x", 1.7e9, None, 2, NUMBERS, [["red", "blue"]], [[7, 8]], CODES, OUTPUTS)


def change(frame: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(frame, **fields)


def frames(*parts: Any) -> bytes:
    return b"".join(part if isinstance(part, bytes) else encode_frame(part) for part in parts)


def whole_frames() -> tuple[ColumnsFrame, RowsFrame]:
    """Two rows as a server logs them; bench/fuzz.py begins with them."""
    return COLUMNS, ROWS


def payload(data: bytes) -> bytes:
    """Any bytes as a frame whose checksum is right."""
    return struct.pack("<II", len(data), zlib.crc32(data)) + data


DAMAGED = {
    "a version that is a path": frames(change(COLUMNS, version="../../../OUTSIDE"), ROWS),
    "an absolute version": frames(change(COLUMNS, version="/OUTSIDE"), ROWS),
    "a version that is a folder": frames(change(COLUMNS, version="v1/x"), ROWS),
    "a version with a zero byte": frames(change(COLUMNS, version="v1\0"), ROWS),
    "rows before columns": frames(ROWS),
    "a height of 2**60": frames(COLUMNS, change(ROWS, height=2**60)),
    "a negative height": frames(COLUMNS, change(ROWS, height=-2)),
    "a height of none": frames(COLUMNS, change(ROWS, height=0)),
    "too few numbers": frames(COLUMNS, change(ROWS, numbers=NUMBERS[:8])),
    "half a number": frames(COLUMNS, change(ROWS, numbers=NUMBERS[:-3])),
    "outputs of another width": frames(COLUMNS, change(ROWS, outputs=OUTPUTS[:24])),
    "a class that there is not": frames(COLUMNS, change(ROWS, codes=np.array([1, 2**31 - 1], np.int32).tobytes())),
    "a class below none": frames(COLUMNS, change(ROWS, codes=np.array([-1, 0], np.int32).tobytes())),
    "texts that are too few": frames(COLUMNS, change(ROWS, texts=[["red"]])),
    "texts that are numbers": frames(COLUMNS, change(ROWS, texts=[[1, 2]])),
    "texts that are tables": frames(COLUMNS, change(ROWS, texts=[[{"a": 1}, [2]]])),
    "no keys": frames(COLUMNS, change(ROWS, keys=[])),
    "positions of another height": frames(COLUMNS, change(ROWS, positions=[1])),
    "a time without end": frames(COLUMNS, change(ROWS, at=float("inf"))),
    "a time that is none": frames(COLUMNS, change(ROWS, at=float("nan"))),
    "a time before all": frames(COLUMNS, change(ROWS, at=-1e300)),
    "no message": payload(b"\xc1"),
    "another type": payload(msgspec.msgpack.encode(["os.system", "touch OUTSIDE"])),
    "nested": payload(b"\x91" * 100_000 + b"\xc0"),
    "an array of 4 billion": payload(b"\xdd\xff\xff\xff\xff"),
}


def make_log(folder: Path, segment: bytes) -> Path:
    create_log(folder, ["a", "kind"], [False, True])
    at = folder / "open" / "000-x-1.segment"
    at.write_bytes(segment)
    return at


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_segment_that_no_server_wrote(tmp_path, kind):
    folder = tmp_path / "in" / "the" / "log"
    segment = make_log(folder, DAMAGED[kind])
    tracemalloc.start()
    for read in (lambda: read_segment(segment), lambda: seal_orphans(folder)):
        with pytest.raises(Damaged) as error:
            read()
        assert "\n" not in error.value.message and len(error.value.message) < 600
    assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    tracemalloc.stop()
    assert segment.is_file(), "it is kept for a person to look at"
    written = [at for at in tmp_path.rglob("*") if at.is_file() and at not in (segment, folder / PREDICTION_LOG)]
    assert written == [] and not Path("/OUTSIDE").exists()


def test_a_frame_that_claims_4_gigabytes_is_a_torn_one(tmp_path):
    """A crash leaves such a length too: what stands before it is read, and no memory is asked for."""
    segment = make_log(tmp_path, frames(COLUMNS, ROWS) + struct.pack("<II", 2**32 - 1, 0) + b"x" * 100)
    tracemalloc.start()
    assert read_segment(segment)["v1"].height == 2
    assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    tracemalloc.stop()


def test_a_whole_segment_is_read(tmp_path):
    """The attacks above differ from this one in a single field each."""
    frame = read_segment(make_log(tmp_path, frames(COLUMNS, ROWS)))["v1"]
    assert frame["prediction_id"].to_list() == ["x-0", "x-1"] and frame["prediction"].to_list() == [True, False]
    assert frame["a"].to_list() == [1.0, 2.0] and frame["kind"].to_list() == ["red", "blue"]
    assert frame["p_true"].to_list() == [0.9, 0.2]


MARKERS = {
    "empty": "",
    "noise": "\0\1\2",
    "nested": "[" * 100_000,
    "a list": "[]",
    "nothing of outputs": "{}",
    "outputs that are a text": '{"outputs": "abc"}',
    "outputs that are numbers": '{"outputs": [1]}',
    "outputs that are tables": json.dumps({"outputs": [{"a": 1}]}),
}


@pytest.mark.parametrize("kind", MARKERS)
def test_a_marker_that_no_server_wrote(tmp_path, kind):
    create_log(tmp_path, ["a"], [0, 1])
    (tmp_path / PREDICTION_LOG).write_text(MARKERS[kind])
    for read in (lambda: read_outputs(tmp_path), lambda: create_log(tmp_path, ["a"], [0, 1, 2])):
        with pytest.raises(Damaged, match="outputs"):
            read()
    assert (tmp_path / PREDICTION_LOG).read_text() == MARKERS[kind]


def test_each_attack_differs():
    assert len({*DAMAGED.values(), frames(COLUMNS, ROWS)}) == len(DAMAGED) + 1
