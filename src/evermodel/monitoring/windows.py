"""Measures the windows that got rows or labels with a delivery, and brings the alarms up to date."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.clock import current_seconds
from evermodel.core.data.contract import Contract
from evermodel.core.records.event import Event
from evermodel.core.records.monitoring import MetricValue, Window
from evermodel.core.stats.accuracy_estimate import MIN_LABELLED, Sums, estimate_from_confidence, estimate_from_history
from evermodel.core.stats.error_estimate import ErrorSums, estimate_error
from evermodel.core.store import Store
from evermodel.monitoring.alarms.certain_alarms import update_certain_alarms
from evermodel.monitoring.alarms.subjects import learn_baselines
from evermodel.monitoring.alarms.update_alarms import update_alarms
from evermodel.monitoring.merge import compact_windows
from evermodel.monitoring.monitor_state import MonitorState, WindowCounts
from evermodel.monitoring.performance import (
    WindowRows,
    estimate_accuracy,
    measure_windows,
    sum_errors_by_group,
    sum_window_confidences,
)
from evermodel.monitoring.row_intake import ALL_GROUPS, HeldRows, read_window_rows
from evermodel.monitoring.watched_rows import ERROR_GROUP, Y
from evermodel.registry.lookup import now

TOGETHER = 50  # windows that are measured at once
MATURE = 0.95  # share of the labels seen so far that arrived within the usual time


def update_windows(
    store: Store, state: MonitorState, contract: Contract, changed: dict[str, set[str]]
) -> tuple[MonitorState, list[Event]]:
    """The state with the changed windows (version -> keys) measured and the alarms updated; and the events."""
    state = dataclasses.replace(state, at=now())
    held: HeldRows = {}
    for version, keys in changed.items():
        watched = state.watched[version]
        windows = dict(watched.windows)
        of_keys = sorted(k for k in keys if k in windows and windows[k].n_merged == 1)
        for at in range(0, len(of_keys), TOGETHER):
            some = [windows[key] for key in of_keys[at : at + TOGETHER]]
            rows = [read_window_rows(store, state.stored_rows, version, w.key, held) for w in some]
            given = [WindowRows(w, r, is_mature(state, w)) for w, r in zip(some, rows, strict=True) if r.height]
            for of, measured in zip(given, measure_windows(given, contract, version), strict=True):
                windows[of.window.key] = _add_estimates(of, measured, contract, windows)
        watched = compact_windows(dataclasses.replace(watched, windows=windows))
        state = dataclasses.replace(state, watched={**state.watched, version: watched})
    if state.version not in state.watched:
        return update_certain_alarms(state, [], current_seconds())
    watched = state.watched[state.version]
    mature = {k for k, window in watched.windows.items() if is_mature(state, window)}
    ordered = [watched.windows[k] for k in sorted(watched.windows)]
    watched = learn_baselines(watched, ordered, mature, state.task)
    return update_alarms(state, watched, ordered, mature)


def is_mature(state: MonitorState, window: WindowCounts) -> bool:
    """Whether the labels of a window's rows had the usual time to arrive."""
    if not state.label_delays or window.labelled >= window.rows:
        return True
    usual = quantile_of_delays(state.label_delays, MATURE)
    arrived = max((p.arrived for p in state.stored_rows if window.key in p.windows), default=0.0)
    return current_seconds() - arrived >= usual


def quantile_of_delays(delays: Any, share: float) -> float:
    """Seconds within which ``share`` of the labels came; NaN where none has come."""
    total = sum(delays.values())
    running = 0
    for delay, n in sorted((float(s), n) for s, n in delays.items()):
        running += n
        if running >= share * total:
            return delay
    return math.nan


def _add_estimates(
    given: WindowRows, measured: tuple[Window, ...], contract: Contract, windows: Mapping[str, WindowCounts]
) -> WindowCounts:
    """The window with its measurements, and what can be estimated of its rows without label."""
    window, rows = given.window, given.rows
    sums = sum_window_confidences(rows, contract)
    accuracy = estimate_accuracy(rows, contract) or (
        _estimate_from_confidence(sums, window.key, windows) if sums is not None else None
    )
    whole = dataclasses.replace(measured[0], predictions=dict(window.predicted))
    if accuracy is not None:
        whole = dataclasses.replace(whole, estimates={"accuracy": accuracy})
    error = _estimate_error(rows, window.key, windows) if contract.task == "regression" else None
    if error is not None:
        whole = dataclasses.replace(whole, estimates={"mae": error})
    labelled, error_sums = sums[1] if sums is not None else (), sum_errors_by_group(rows)
    return dataclasses.replace(window, measurements=(whole, *measured[1:]), confidence=labelled, error_sums=error_sums)


def _estimate_error(rows: pl.DataFrame, key: str, windows: Mapping[str, WindowCounts]) -> MetricValue | None:
    """Mean absolute error of the rows without label, from the labelled rows of earlier windows; None without them."""
    if ERROR_GROUP not in rows.columns or not rows[Y].null_count():
        return None
    groups = rows.filter(pl.col(Y).is_null())[ERROR_GROUP].drop_nulls().to_numpy()
    earlier = [windows[k].error_sums for k in sorted(windows) if k < key and windows[k].error_sums]
    history = [ErrorSums(*(_spread_groups(h[0], h[i]) for i in (1, 2))) for h in earlier]
    estimate = estimate_error(groups, history)
    return None if estimate is None else estimate[0]


def _spread_groups(kinds: tuple[float, ...], values: tuple[float, ...]) -> tuple[float, ...]:
    whole = np.zeros(ALL_GROUPS)
    whole[np.asarray(kinds, dtype=np.int64)] = values
    return tuple(whole.tolist())


def _estimate_from_confidence(
    sums: tuple[Sums, Sums], key: str, windows: Mapping[str, WindowCounts]
) -> MetricValue | None:
    """Accuracy from the window's own labels where there are enough of them, else from those of earlier windows."""
    all_rows, labelled = sums
    if labelled[0] >= all_rows[0]:
        return None  # nothing is left to estimate
    if labelled[0] >= MIN_LABELLED:
        own = estimate_from_confidence(all_rows, labelled, same_rows=True)
        if own is not None:
            return own
    estimate = estimate_from_history(all_rows, list_earlier_sums(windows, key))
    return None if estimate is None else estimate[0]


def list_earlier_sums(windows: Mapping[str, WindowCounts], key: str) -> list[Sums]:
    """The sums over labelled rows of the windows before ``key``, oldest first."""
    sums = [windows[k].confidence for k in sorted(windows) if k < key]
    return [(c[0], c[1], c[2], c[3], c[4], c[5]) for c in sums if c and c[0]]
