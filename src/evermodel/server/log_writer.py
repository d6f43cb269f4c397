"""Writes the log of a model's predictions: many requests with one write, one sync, and only then their answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evermodel.core.data.contract import Contract
from evermodel.core.data.logged_predictions import OPEN
from evermodel.core.errors import EvermodelError
from evermodel.registry.prediction import ID_NAMES
from evermodel.registry.predictions.log_segments import SUFFIX, ColumnsFrame, RowsFrame, encode_frame
from evermodel.registry.predictions.seal_segments import create_log, seal_orphans, seal_segment
from evermodel.server.answering import Answer
from evermodel.server.prepared_model import PreparedModel
from evermodel.server.request_body import RequestRows

logger = logging.getLogger(__name__)
LogMode = Literal["durable", "async", "off"]
LOG_MODES: tuple[LogMode, ...] = ("durable", "async", "off")
SEAL_BYTES = 32 << 20
SEAL_SECONDS = 30.0  # a segment with rows becomes Parquet after so long, or so many bytes
FAST_SYNC_SECONDS = 0.003  # a disk that syncs within this time is written from the loop, a slower one from a thread
ASYNC_SECONDS = 0.2  # between two writes of mode "async": what a crash may lose
MOST_WAITING = 50_000  # requests that wait for the disk in mode "async"; further ones are lost, and counted
LARGEST_INTEGER = 2**63
_SCALARS = frozenset({str, int, float, bool, type(None)})


class NotLogged(EvermodelError):
    """A prediction could not be written to the log, and so its answer must not leave."""


@dataclass(frozen=True)
class LogEntry:
    """The frames of one request: what its columns are, and its rows."""

    columns: ColumnsFrame
    rows: RowsFrame


def build_entry(rows: RequestRows, answer: Answer, identity: str, at: float, moments: bool) -> LogEntry:
    """What the log keeps of a request: the inputs as the model got them, its answers, and columns that join labels.

    Where clients send no time, the moment of the answer is the rows' time: as text if ``moments``, else in seconds.
    """
    prepared, checked, predicted = answer.prepared, answer.checked, answer.predicted
    names = list_keys(prepared.contract, rows)
    keys = [_read_key(rows.read_column(name) or (), checked.positions) for name in names]
    time_column = prepared.contract.roles.time
    if time_column is not None and time_column not in names and time_column not in prepared.contract.names:
        # An update needs the order of the rows: they came when they were answered.
        moment = dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="microseconds") if moments else at
        names, keys = (*names, time_column), [*keys, [moment] * len(checked)]
    columns = _describe_columns(prepared, names)
    codes = b"" if predicted.codes is None else np.asarray(predicted.codes, np.int32).tobytes()
    writes = prepared.contract.task == "text"
    numbers = np.zeros(len(checked)) if writes else np.ascontiguousarray(predicted.raw, dtype=np.float64)
    held = RowsFrame(
        identity,
        at,
        None if checked.positions is None else checked.positions.tolist(),
        len(checked),
        np.ascontiguousarray(checked.numbers).tobytes(),
        list(checked.texts.values()),
        keys,
        codes,
        numbers.tobytes(),
        predicted.labels if writes else None,
    )
    return LogEntry(columns, held)


def _describe_columns(prepared: PreparedModel, keys: tuple[str, ...]) -> ColumnsFrame:
    """The same object for the same version and keys: it is compared with each entry."""
    known = prepared.logged_columns.get(keys)
    if known is None:
        texts = prepared.checker.textual
        known = ColumnsFrame(
            prepared.version,
            [column.name for column in prepared.checker.numeric],
            [column.name for column in texts],
            [column.name for column in texts if column.kind == "image"],
            list(keys),
            list(prepared.classes),
        )
        prepared.logged_columns[keys] = known
    return known


def list_keys(contract: Contract, rows: RequestRows) -> tuple[str, ...]:
    """The columns of a request that are no inputs, and that updates or labels need: ids, and those with a role."""
    roles = contract.roles
    wanted = (*ID_NAMES[1:], roles.time, roles.entity, roles.weight, *roles.slices)
    inputs = set(contract.names)
    own = (n for n in dict.fromkeys(wanted) if n is not None and n not in inputs)
    return tuple(name for name in own if rows.has_column(name))


def _read_key(values: Sequence[Any], positions: Any) -> list[Any]:
    chosen = values if positions is None else [values[at] for at in positions.tolist()]
    return [_plain(value) for value in chosen]


def _plain(value: Any) -> Any:
    if type(value) not in _SCALARS:
        return str(value)
    return str(value) if type(value) is int and abs(value) >= LARGEST_INTEGER else value


class LogWriter:
    """Appends entries: at once where the disk is fast, else in a thread of its own.

    ``append`` returns once an entry is as safe as the mode promises.
    """

    def __init__(
        self,
        folder: Path,
        mode: LogMode,
        contract: Contract,
        *,
        moments: bool = False,
        seal_seconds: float = SEAL_SECONDS,
    ) -> None:
        """``moments``: the model's time column holds moments, and not numbers that grow."""
        create_log(folder, contract.names, contract.classes)
        seal_orphans(folder)
        self.folder, self.mode, self.lost = folder, mode, 0
        self.moments = moments
        self._inputs, self._classes = tuple(contract.names), tuple(contract.classes)
        self._seal_seconds = seal_seconds
        self._boot, self._number = secrets.token_hex(4), 0
        self._waiting: list[tuple[LogEntry, asyncio.Future[None] | None]] = []
        self._wake, self._guard, self._end = threading.Event(), threading.Lock(), False
        self._writing = threading.Lock()  # of the segment
        self._sync_seconds, self._flushing = 0.0, False
        self._file: Any = None
        self._path, self._size, self._opened = folder, 0, 0.0
        self._columns: ColumnsFrame | None = None
        self._sealing: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="evermodel-log", daemon=True)
        self._thread.start()

    def follow_contract(self, contract: Contract) -> None:
        """Makes the marker of the log fit a version that was put in."""
        if (tuple(contract.names), tuple(contract.classes)) != (self._inputs, self._classes):
            self._inputs, self._classes = tuple(contract.names), tuple(contract.classes)
            create_log(self.folder, contract.names, contract.classes)

    async def append(self, entry: LogEntry) -> None:
        """In mode "durable", returns once the entry is on disk. Raises NotLogged where it could not be written."""
        if self.mode == "async":
            if len(self._waiting) >= MOST_WAITING:
                self.lost += entry.rows.height
                return
            with self._guard:
                self._waiting.append((entry, None))
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._guard:
            self._waiting.append((entry, future))
        if self._sync_seconds > FAST_SYNC_SECONDS:
            self._wake.set()
        elif not self._flushing:  # after all requests of this turn of the loop: they share the write
            self._flushing = True
            loop.call_soon(self._flush)
        await future

    def close(self) -> None:
        """Writes what waits, and turns the last segment into Parquet."""
        self._end = True
        self._wake.set()
        self._thread.join()
        for thread in self._sealing:
            thread.join()

    def _flush(self) -> None:
        """Writes what waits at once: on a fast disk that takes less time than waking a thread."""
        self._flushing = False
        self._write_waiting()

    def _write_waiting(self) -> None:
        with self._writing:
            with self._guard:
                group, self._waiting = self._waiting, []
            if group:
                self._write_group(group)

    def _run(self) -> None:
        patience = ASYNC_SECONDS if self.mode == "async" else 1.0
        while True:
            self._wake.wait(patience)
            self._wake.clear()
            self._write_waiting()
            with self._writing:
                self._rotate()
                if self._end and not self._waiting:
                    self._close_segment(wait=True)
                    return

    def _write_group(self, group: list[tuple[LogEntry, asyncio.Future[None] | None]]) -> None:
        """Writes and syncs the entries of many requests at once, then lets their answers go."""
        problem: NotLogged | None = None
        try:
            if self._file is None:
                self._open_segment()
            parts = []
            for entry, _ in group:
                if entry.columns is not self._columns and entry.columns != self._columns:
                    parts.append(encode_frame(entry.columns))
                    self._columns = entry.columns
                parts.append(encode_frame(entry.rows))
            data = b"".join(parts)
            began = time.perf_counter()
            _write_all(self._file, data)
            os.fdatasync(self._file.fileno())
            self._sync_seconds += 0.1 * (time.perf_counter() - began - self._sync_seconds)
            self._size += len(data)
        except OSError as error:
            logger.exception("Predictions could not be written to %s.", self._path)
            self._undo()
            self.lost += sum(entry.rows.height for entry, _ in group)
            problem = NotLogged(f"The prediction could not be logged: {error.strerror}.", "Free some space.")
        futures = [future for _, future in group if future is not None]
        if futures and threading.current_thread() is self._thread:
            futures[0].get_loop().call_soon_threadsafe(_release, futures, problem)
        else:
            _release(futures, problem)

    def _undo(self) -> None:
        """Takes half-written frames back, so that later ones can be read."""
        self._columns = None
        if self._file is None:
            return
        try:
            os.ftruncate(self._file.fileno(), self._size)
            self._file.seek(self._size)
        except OSError:
            logger.exception("The segment %s is closed: it could not be cut back.", self._path)
            self._close_segment()

    def _open_segment(self) -> None:
        while True:
            self._number += 1
            name = f"{time.time_ns() // 1_000_000:015d}-{self._boot}-{self._number}{SUFFIX}"
            path = self.folder / OPEN / name
            file = path.open("xb", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)  # says that it is being written; a crash lets go of it
            if os.fstat(file.fileno()).st_nlink:
                break
            file.close()  # between the two calls another process took it for one that a crash left, and removed it
        self._path, self._file = path, file
        self._size, self._opened, self._columns = 0, time.monotonic(), None

    def _rotate(self) -> None:
        if self._file is None or not self._size:
            return
        if self._size >= SEAL_BYTES or time.monotonic() - self._opened >= self._seal_seconds:
            self._close_segment()

    def _close_segment(self, *, wait: bool = False) -> None:
        """Hands the segment to a thread that turns it into Parquet; the next entries go into another one."""
        if self._file is None:
            return
        file, path, self._file, self._columns = self._file, self._path, None, None
        thread = threading.Thread(target=_seal, args=(file, path, self.folder), name="evermodel-seal", daemon=True)
        thread.start()
        self._sealing = [*(t for t in self._sealing if t.is_alive()), thread]
        if wait:
            thread.join()


def _write_all(file: Any, data: bytes) -> None:
    """All of the bytes: on a disk that fills up, one call writes a part of them and says so only in its count."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _release(futures: Sequence[asyncio.Future[None]], problem: NotLogged | None) -> None:
    for future in futures:
        if future.done():  # its request was given up meanwhile
            continue
        if problem is None:
            future.set_result(None)
        else:
            future.set_exception(problem)


def _seal(file: Any, path: Path, folder: Path) -> None:
    try:
        seal_segment(path, folder)
    except Exception:  # it stays as it is, and the next start tries again
        logger.exception("The segment %s could not be turned into Parquet; it is kept.", path)
    finally:
        file.close()
