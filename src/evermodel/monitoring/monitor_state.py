"""What a monitor remembers: counts by window, rows that wait for labels, alarms. One blob, moved by compare-and-swap.

States are frozen: a delivery makes a new one. Of two watchers at once, the second starts again from the new state.
"""

from __future__ import annotations

import dataclasses
import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from evermodel.core.errors import Damaged, Moved
from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.event import Event
from evermodel.core.records.job import Done, Job
from evermodel.core.records.monitoring import Alarm, Window
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference
from evermodel.core.stats.row_cells import Cells
from evermodel.core.store import Move, Store
from evermodel.monitoring.texts.text_counts import TextCounts
from evermodel.monitoring.texts.text_reference import TextReference
from evermodel.monitoring.texts.written_answers import AnswerCounts

TRIES = 20  # of putting a state in place while others do the same
ALIAS = "monitor"


@dataclass(frozen=True)
class WindowCounts:
    """The rows of one window and version. Counts add up; ``measurements`` holds the metrics measured last, by slice."""

    key: str  # sorts by time
    start: str
    end: str
    rows: int = 0
    labelled: int = 0
    errors: int = 0  # wrong answers among the labelled rows
    large_losses: int = 0  # labelled rows whose loss is above what four fifths of the reference rows had
    columns: Mapping[str, ColumnCounts] = field(default_factory=dict)
    predicted: Mapping[str, int] = field(default_factory=dict)
    measurements: tuple[Window, ...] = ()
    confidence: tuple[float, ...] = ()  # sums over its labelled rows, as core/stats/accuracy_estimate.py keeps them
    error_sums: tuple[tuple[float, ...], ...] = ()  # of a regression: kind, labelled rows, their errors (3, …)
    n_merged: int = 1  # windows that were merged into it
    texts: Mapping[str, TextCounts] = field(default_factory=dict)  # column -> its texts
    by_class: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # class in truth -> wrong, right answers
    answers: AnswerCounts = field(default_factory=AnswerCounts)  # that a model of free text wrote

    def __add__(self, other: WindowCounts) -> WindowCounts:
        names, classes = dict.fromkeys((*self.columns, *other.columns)), {**self.by_class, **other.by_class}
        columns = {n: add_counts(self.columns.get(n), other.columns.get(n)) for n in names}
        predicted = {
            n: self.predicted.get(n, 0) + other.predicted.get(n, 0)
            for n in dict.fromkeys((*self.predicted, *other.predicted))
        }
        start, end = min(self.start, other.start, key=sort_key), max(self.end, other.end, key=sort_key)
        sums = {n: getattr(self, n) + getattr(other, n) for n in ("rows", "labelled", "errors", "large_losses")}
        return WindowCounts(
            self.key,
            start,
            end,
            **sums,
            columns=columns,
            predicted=predicted,
            measurements=self.measurements,
            confidence=self.confidence,
            error_sums=self.error_sums,
            n_merged=self.n_merged,
            texts={n: add_counts(self.texts.get(n), other.texts.get(n)) for n in {**self.texts, **other.texts}},
            by_class={c: _add_pairs(self.by_class.get(c), other.by_class.get(c)) for c in classes},
            answers=self.answers + other.answers,
        )


def _add_pairs(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int]:
    one, other = one or (0, 0), other or (0, 0)
    return one[0] + other[0], one[1] + other[1]


@dataclass(frozen=True)
class StoredRows:
    """Predicted rows as a blob: id, window, prediction, label where known."""

    blob: str
    version: str
    windows: tuple[str, ...]
    rows: int
    labelled: int
    arrived: float  # Unix seconds


@dataclass(frozen=True)
class WaitingLabels:
    """Labels as a blob whose rows have not come. ``waited``: they were tried before, and are counted as unmatched."""

    blob: str
    rows: int
    waited: bool


@dataclass(frozen=True)
class TestProgress:
    """How far the test of one subject is. ``number``: how often a test began; each has a share of the error."""

    begin: str = ""  # key of the first window that counts
    number: int = 1
    seen: int = 0  # windows already tested
    raised: tuple[float, ...] = ()  # counts that raised the open alarm
    opened: str = ""  # key of the window with which the alarm opened


@dataclass(frozen=True)
class VersionMonitor:
    """One watched version: its reference, its windows, the evidence about each subject."""

    version: str
    columns: Mapping[str, ColumnReference] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)  # column -> loss of score without it, in its noise
    loss_edge: float = float("nan")  # four fifths of the reference rows have a smaller loss
    related: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column -> those that move with it
    cells: Cells | None = None  # how rows are counted by all columns at once
    overdispersion: Mapping[str, float] = field(default_factory=dict)  # "quality" -> excess variance a row
    baselines: Mapping[str, tuple[float, ...]] = field(
        default_factory=dict
    )  # subject -> reference from its first windows
    baseline_until: Mapping[str, str] = field(default_factory=dict)  # subject -> key of the last of those windows
    windows: Mapping[str, WindowCounts] = field(default_factory=dict)
    progress: Mapping[str, TestProgress] = field(default_factory=dict)  # "drift:age" -> …
    evidence: Mapping[str, float] = field(default_factory=dict)  # log e-value now
    texts: Mapping[str, TextReference] = field(default_factory=dict)  # column -> what its texts are measured against
    recent_texts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # column -> hashes of its newest texts


@dataclass(frozen=True)
class MonitorState:
    """The whole state of a monitor. ``counters`` only grow."""

    name: str
    task: str
    window: str = ""
    false_alarms: float = 0.01
    version: str = ""
    at: str = ""
    batches: Mapping[str, str] = field(default_factory=dict)  # digest -> "rows" | "labels"
    watched: Mapping[str, VersionMonitor] = field(default_factory=dict)
    stored_rows: tuple[StoredRows, ...] = ()
    waiting_labels: tuple[WaitingLabels, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    label_delays: Mapping[str, int] = field(default_factory=dict)  # seconds (rounded up to a power of 2) -> labels
    latencies: tuple[tuple[float, int], ...] = ()  # seconds and rows of the newest batches
    baseline: Mapping[str, float] = field(default_factory=dict)
    arrivals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # "rows", "labels" -> Unix seconds
    missing_columns: tuple[str, ...] = ()  # inputs that the newest rows do not have
    notes: tuple[str, ...] = ()

    def add_to_counters(self, **more: int) -> MonitorState:
        """The state with counters grown by ``more``."""
        grown = {k: self.counters.get(k, 0) + n for k, n in more.items()}
        return dataclasses.replace(self, counters={**self.counters, **grown})


Counts = TypeVar("Counts", ColumnCounts, TextCounts)
MONITOR_STATE = RecordKind("state of a monitor", MonitorState)


def add_counts(a: Counts | None, b: Counts | None) -> Counts:
    """The counts of both; either may be absent."""
    if a is None or b is None:
        return a or b  # type: ignore[return-value]
    return a + b


def sort_key(moment: str) -> tuple[int, str]:
    """Orders starts and ends: row numbers by size, moments as text."""
    return (len(moment), moment) if moment.isdigit() else (0, moment)


def read_state(store: Store, name: str) -> tuple[MonitorState | None, str | None]:
    """The state and the digest of its blob; (None, None) where nothing was watched yet."""
    for _ in range(TRIES):
        digest = store.resolve_alias(name, ALIAS)
        if digest is None:
            return None, None
        try:
            return from_bytes(store.get_blob(digest).read_bytes()), digest
        except (Damaged, FileNotFoundError):
            if store.resolve_alias(name, ALIAS) == digest:
                raise
    raise Moved(f"The monitor of {name} moved {TRIES} times while it was read.", "Run it again.")


def write_state(
    store: Store,
    name: str,
    change: Callable[[MonitorState | None], tuple[MonitorState, list[Event]]],
    fence: Job | None = None,
) -> MonitorState:
    """Puts in place what ``change`` makes of the newest state; again from the start where somebody was first.

    ``fence``: the job that writes. Raises LeaseLost where another worker has taken it over; nothing is written then.
    """
    done = None if fence is None else Done(fence)
    for _ in range(TRIES):
        old, digest = read_state(store, name)
        new, events = change(old)
        if new is old:
            return new
        staged = store.staging_folder() / "monitor.json.gz"
        staged.write_bytes(to_bytes(new))
        kept = store.put_blob(staged)
        if kept == digest:
            return new
        try:
            store.commit_moves(name, [Move(ALIAS, kept, digest)], events, done)
        except Moved:
            continue
        if digest is not None:
            store.delete_blob(digest)
        return new
    raise Moved(f"The monitor of {name} was moved by others {TRIES} times.", "Run it again; nothing was lost.")


def to_bytes(state: MonitorState) -> bytes:
    """The state as compressed JSON."""
    return gzip.compress(encode(MONITOR_STATE, state).encode(), compresslevel=3, mtime=0)


def from_bytes(data: bytes) -> MonitorState:
    """The state that ``to_bytes`` wrote, of this release or an earlier one. Raises Damaged, BadSetting."""
    try:
        text = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise Damaged("The stored state of a monitor cannot be read.", "Restore the registry from a backup.") from error
    return decode(MONITOR_STATE, text)
