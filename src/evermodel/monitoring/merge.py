"""Merges two monitors' states as if one had seen all rows; and merges old windows, so that the state is bounded."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from typing import Any

from evermodel.core.errors import AskedWrongly
from evermodel.core.records.event import Event
from evermodel.core.store import Store
from evermodel.monitoring.monitor_state import MonitorState, StoredRows, TestProgress, VersionMonitor, WindowCounts

MOST_WINDOWS = 600  # a version; of more, the oldest are put together in pairs
NEWEST = 300  # windows that stay as they are: they are shown, and their labels still arrive


def merge_states(ours: MonitorState, theirs: MonitorState) -> MonitorState:
    """The state of a monitor that had seen the rows of both. Counts add up, in either order.

    The tests start again on all windows together; until then the alarms are those of ``ours``.
    Raises AskedWrongly for monitors of different models, windows or references, and where both saw one delivery.
    """
    _check(ours, theirs)
    first = ours if ours.version in theirs.watched or theirs.version not in ours.watched else theirs
    watched = dict(ours.watched)
    for version, other in theirs.watched.items():
        watched[version] = _merge_version(watched[version], other) if version in watched else other
    counters = {k: ours.counters.get(k, 0) + theirs.counters.get(k, 0) for k in {**ours.counters, **theirs.counters}}
    delays = {
        k: ours.label_delays.get(k, 0) + theirs.label_delays.get(k, 0)
        for k in {**ours.label_delays, **theirs.label_delays}
    }
    both = {**theirs.gauges, **ours.gauges}
    gauges = {k: max(v, ours.gauges.get(k, v), theirs.gauges.get(k, v)) for k, v in both.items()}
    arrivals = {
        k: tuple(sorted((*ours.arrivals.get(k, ()), *theirs.arrivals.get(k, ()))))[-50:]
        for k in {**ours.arrivals, **theirs.arrivals}
    }
    parts = tuple(sorted((*ours.stored_rows, *theirs.stored_rows), key=lambda p: (p.arrived, p.blob)))
    return dataclasses.replace(
        ours,
        version=first.version,
        batches={**ours.batches, **theirs.batches},
        watched=watched,
        stored_rows=parts,
        waiting_labels=(*ours.waiting_labels, *theirs.waiting_labels),
        counters=counters,
        gauges=gauges,
        label_delays=delays,
        arrivals=arrivals,
        latencies=(*ours.latencies, *theirs.latencies)[-200:],
    )


def _check(ours: MonitorState, theirs: MonitorState) -> None:
    unlike = [f for f in ("name", "task", "window") if getattr(ours, f) != getattr(theirs, f)]
    if unlike:
        differences = "; ".join(f"{f} {getattr(ours, f)!r} and {getattr(theirs, f)!r}" for f in unlike)
        raise AskedWrongly(f"These monitors cannot be merged: {differences}.")
    if ours.window.endswith("rows"):
        raise AskedWrongly(
            "Windows of rows are numbered by each monitor for itself, so they cannot be merged.",
            "Watch by time: use a window of 1d.",
        )
    both = set(ours.batches) & set(theirs.batches)
    if both:
        raise AskedWrongly(f"Both monitors saw {len(both)} of the same deliveries; their rows would count twice.")
    for version in set(ours.watched) & set(theirs.watched):
        if ours.watched[version].columns != theirs.watched[version].columns:
            raise AskedWrongly(f"The monitors compare {version} with different reference rows: they cannot be merged.")


def _merge_version(ours: VersionMonitor, theirs: VersionMonitor) -> VersionMonitor:
    windows = dict(ours.windows)
    for key, window in theirs.windows.items():
        windows[key] = windows[key] + window if key in windows else window
    learnt = {
        k: v for k, v in ours.baselines.items() if k not in ours.baseline_until
    }  # the rest is learned again from all windows
    begun = {
        k: TestProgress(
            number=max(w.progress[k].number for w in (ours, theirs) if k in w.progress),
            opened=ours.progress[k].opened if k in ours.progress else "",
            raised=ours.progress[k].raised if k in ours.progress else (),
        )
        for k in {**ours.progress, **theirs.progress}
    }
    return dataclasses.replace(
        ours, windows=dict(sorted(windows.items())), baselines=learnt, baseline_until={}, progress=begun
    )


def take_over_state(
    store: Store, other: Store, theirs: MonitorState, ours: MonitorState | None
) -> tuple[MonitorState, list[Event]]:
    """The merged state, with the other registry's rows copied into this one."""
    for digest in [p.blob for p in theirs.stored_rows] + [w.blob for w in theirs.waiting_labels]:
        staged = store.staging_folder() / "part.parquet"
        shutil.copyfile(other.get_blob(digest), staged)
        store.put_blob(staged)
    return (theirs if ours is None else merge_states(ours, theirs)), []


def compact_windows(watched: VersionMonitor) -> VersionMonitor:
    """The version's monitor with the oldest windows merged in pairs once there are too many.

    A change can then begin with every second of those windows only; no other evidence is lost.
    """
    keys = sorted(watched.windows)
    if len(keys) <= MOST_WINDOWS:
        return watched
    windows: dict[str, WindowCounts] = {}
    old, i = keys[: len(keys) - NEWEST], 0
    while i < len(old):
        pair = [watched.windows[k] for k in old[i : i + 2]]
        windows[old[i]] = pair[0] if len(pair) == 1 else _merge_windows(*pair)
        i += 2
    return dataclasses.replace(
        watched, windows={**windows, **{k: watched.windows[k] for k in keys[len(keys) - NEWEST :]}}
    )


def _merge_windows(a: WindowCounts, b: WindowCounts) -> WindowCounts:
    sums = [c for c in (a.confidence, b.confidence) if c]
    confidence = tuple(float(sum(v)) for v in zip(*sums, strict=True))
    return dataclasses.replace(
        a + b, measurements=(), confidence=confidence, error_sums=(), n_merged=a.n_merged + b.n_merged
    )


def find_window(windows: Mapping[str, Any], key: str) -> str:
    """The key of the window that now holds what was in the window ``key``."""
    return key if key in windows else max((k for k in windows if k < key), default=key)


def list_stored_windows(state: MonitorState) -> dict[str, set[str]]:
    """version -> keys of its windows whose rows are stored: what must be measured again after a merge."""
    touched: dict[str, set[str]] = {}
    part: StoredRows
    for part in state.stored_rows:
        touched.setdefault(part.version, set()).update(
            k for k in part.windows if k in state.watched[part.version].windows
        )
    return touched
