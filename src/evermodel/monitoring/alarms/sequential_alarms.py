"""Tests each subject after every delivery; over the monitor's whole life false alarms stay within the promise."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.count_e_process import compute_drift_evidence, compute_return_evidence, compute_rise_evidence
from evermodel.monitoring.alarms.subjects import Subject
from evermodel.monitoring.monitor_state import TestProgress

FIRST = 0.85  # of a subject's share is for its first test; the rest for all tests that follow a closed alarm
RETURNED = math.log(20.0)  # so much likelier as before than as alarmed: the alarm closes
STEPS = 25  # of the windows that came at once, at most so many are analyses of their own


@dataclass(frozen=True)
class TestResult:
    """Where the evidence about a subject stands; the keys of the windows with which an alarm began, or closed."""

    __test__ = False  # no test case, whatever pytest thinks of the name

    progress: TestProgress
    log_evidence: float = 0.0
    began: str | None = None
    closed: str | None = None


def run_test(subject: Subject, progress: TestProgress, false_alarms: float) -> TestResult:
    """Tests a subject on the windows that came since; opens an alarm, or closes one whose subject is as before."""
    counted = [k >= progress.begin for k in subject.keys]
    keys, windows = [k for k in subject.keys if k >= progress.begin], subject.windows[np.array(counted)]
    if progress.opened:
        return _test_return(subject, progress, keys, windows)
    if not keys:
        return TestResult(progress)
    threshold = alarm_threshold(subject.share, progress.number, false_alarms)
    evidence = 0.0
    for end in _analysis_ends(min(progress.seen, len(keys) - 1), len(keys)):
        evidence = compute_evidence(subject, windows[:end])
        if evidence >= threshold:
            start = _find_change(subject, windows[:end])
            raised = tuple(windows[start:].sum(axis=0).astype(float).tolist())
            alarmed = dataclasses.replace(progress, seen=len(keys), raised=raised, opened=keys[-1])
            return TestResult(alarmed, evidence, began=keys[start])
    return TestResult(dataclasses.replace(progress, seen=len(keys)), evidence)


def alarm_threshold(share: float, number: int, false_alarms: float) -> float:
    """Log e-value at which an alarm opens, in the ``number``-th test of a subject.

    The shares of all subjects, over all their tests, add up to one: so the promise on false alarms holds.
    """
    part = FIRST if number == 1 else (1.0 - FIRST) / (number * (number - 1))
    return -math.log(part * share * false_alarms)


def compute_evidence(subject: Subject, windows: Array) -> float:
    """Log e-value against "as the reference", after all windows (T, K)."""
    compute = compute_rise_evidence if subject.one_sided else compute_drift_evidence
    return float(compute(windows, subject.reference))


def _analysis_ends(seen: int, now: int) -> list[int]:
    new = np.arange(seen + 1, now + 1)
    return [int(e) for e in new[np.unique(np.linspace(0, len(new) - 1, STEPS).astype(int))]] if len(new) else [now]


def _find_change(subject: Subject, windows: Array) -> int:
    """The window with which the change most probably began: the split that explains the counts best."""
    after = windows[::-1].cumsum(axis=0)[::-1].astype(float)
    before = subject.reference + windows.sum(axis=0) - after
    share_after = (after + 0.5) / (after + 0.5).sum(axis=1, keepdims=True)
    share_before = before / before.sum(axis=1, keepdims=True)
    return int((after * np.log(share_after / share_before)).sum(axis=1).argmax())


def _test_return(subject: Subject, progress: TestProgress, keys: list[str], windows: Array) -> TestResult:
    """Closes an open alarm where the newest windows are as before; its next test begins with the newest of them."""
    newer = [i for i, k in enumerate(keys) if k > progress.opened]
    evidence = compute_evidence(subject, windows) if len(windows) else 0.0
    raised = np.asarray(progress.raised)
    if newer and compute_return_evidence(windows[newer], subject.reference, raised) >= RETURNED:
        newest = keys[newer[-1]]
        return TestResult(TestProgress(newest, progress.number + 1), closed=newest)
    return TestResult(progress, evidence)
