"""Turns the counts of a version's looks into alarms that keep the promise on false ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evermodel.core.cells import JOINT
from evermodel.core.clumping import clumping_besides_a_step
from evermodel.core.evidence import back_evidence, drift_evidence, rise_evidence
from evermodel.core.monitoring import Alarm
from evermodel.core.reference import Counted
from evermodel.core.table import Array
from evermodel.loop.watch_reference import PREDICTION
from evermodel.loop.watch_state import Look, Tested, Watched

BASELINE = 1_000  # rows of the first looks that stand for "as it was", where nothing better is known
SHARES = {
    "accuracy": 0.45,
    "loss": 0.05,
    "prediction": 0.05,
    "drift": 0.32,
    "joint": 0.03,
    "missing": 0.04,
    "unseen": 0.03,
    "range": 0.03,
}
FIRST = 0.85  # of a subject's share is for its first beginning; the rest for all that may follow
BACK = math.log(20.0)  # so much likelier as before than as alarmed: the alarm closes
STEPS = 25  # at most so many of the looks that came at once are ends of their own


@dataclass(frozen=True)
class Subject:
    """One thing that is tested: counts a look (T, K) against a reference (K,)."""

    key: str  # "drift:age"
    name: str
    of: str  # the column or the metric
    keys: tuple[str, ...]  # of the looks
    looks: Array
    reference: Array
    share: float  # of the false-alarm rate
    rise: bool  # one-sided: only more of the first kind is an alarm


def subjects(watched: Watched, looks: list[Look], mature: set[str]) -> Iterator[Subject]:
    """What can be tested now; ``looks`` oldest first."""
    columns = [c for c in watched.columns if c not in (PREDICTION, JOINT)]
    each = 1.0 / max(1, len(columns))
    for name in columns:
        of = [(k.key, k.columns[name]) for k in looks if name in k.columns]
        if of:
            yield from _of_column(watched, name, tuple(k for k, _ in of), [c for _, c in of], each)
    of = [(k.key, k.columns[JOINT]) for k in looks if JOINT in k.columns]
    if of:
        found = _of_column(watched, JOINT, tuple(k for k, _ in of), [c for _, c in of], 1.0)
        yield dataclasses.replace(next(s for s in found if s.name == "drift"), share=SHARES["joint"])
    yield from _answers(watched, looks, mature)


def _of_column(
    watched: Watched, name: str, keys: tuple[str, ...], counted: list[Counted], each: float
) -> Iterator[Subject]:
    """Drift, missing values, and values that the reference rows do not know. Clumped rows count for fewer.

    Categories that are unseen come first: where both alarm at once, the alarm is named after what says more.
    """
    r = watched.columns[name]
    usual = float(np.median([c.rows for c in counted]))
    many, bursts = r.effective(usual), r.effective(usual, missing=True)
    bins = r.coarse(np.stack([c.bins for c in counted])) / many
    gaps = np.maximum(r.coarse(np.asarray(r.gaps)) / many, 0.5)
    drift = Subject(f"drift:{name}", "drift", name, keys, bins, gaps, SHARES["drift"] * each, False)
    missing = np.array([(c.missing, c.rows - c.missing) for c in counted]) / bursts
    was = np.array([r.missing / bursts + 0.5, (r.rows + 0.5) / bursts])
    gone = Subject(f"missing:{name}", "missing", name, keys, missing, was, SHARES["missing"] * each, True)
    kind = "range" if r.kind == "number" else "unseen"
    odd = np.array([c.outside if kind == "range" else c.unseen for c in counted])
    both = np.column_stack([odd, [c.bins.sum() for c in counted] - odd]) / many
    was = np.array([_odd(watched, name), (r.rows + 0.5) / many])
    strange = Subject(f"{kind}:{name}", kind, name, keys, both, was, SHARES[kind] * each, True)
    yield from (strange, drift, gone) if kind == "unseen" else (drift, gone, strange)


def _odd(watched: Watched, name: str) -> float:
    """Rows outside the range, or of unseen categories, that would be no surprise: two ends; or the rare categories."""
    reference = watched.columns[name]
    return 2.0 if reference.kind == "number" else max(1.0, len(reference.known) - len(reference.categories) + 0.5)


def _answers(watched: Watched, looks: list[Look], mature: set[str]) -> Iterator[Subject]:
    said = watched.columns.get(PREDICTION)
    learnt = watched.learnt.get("drift:prediction")
    if said is not None and learnt is not None:
        of = [
            (k.key, k.columns[PREDICTION])
            for k in _after(looks, watched, "drift:prediction")
            if PREDICTION in k.columns
        ]
        if of:
            many = said.effective(float(np.median([c.rows for _, c in of])))
            bins = said.coarse(np.stack([c.bins for _, c in of])) / many
            was = np.maximum(np.asarray(learnt) / many, 0.5)
            yield Subject("drift:prediction", "drift", PREDICTION, tuple(k for k, _ in of), bins, was,
                          SHARES["prediction"], False)  # fmt: skip
    for metric, field in (("accuracy", "errors"), ("loss", "large")):
        key = f"quality:{metric}"
        ripe = [k for k in _after(looks, watched, key) if k.labelled and k.key in mature]
        if key in watched.learnt and ripe:
            wrong = np.array([(getattr(k, field), k.labelled - getattr(k, field)) for k in ripe])
            clumped = max(watched.clumped.get("quality", 0.0), clumping_besides_a_step(wrong))
            many = 1.0 + clumped * float(np.median(wrong.sum(axis=1)))
            was = np.maximum(np.asarray(watched.learnt[key]) / many, 0.5)
            yield Subject(key, "quality", metric, tuple(k.key for k in ripe), wrong / many, was, SHARES[metric], True)


def _after(looks: list[Look], watched: Watched, key: str) -> list[Look]:
    until = watched.learnt_until.get(key, "")
    return [k for k in looks if k.key > until]


def learn_baselines(watched: Watched, looks: list[Look], mature: set[str], task: str) -> Watched:
    """The first looks with enough rows become the reference of what has none: predictions, errors, losses."""
    wanted: list[tuple[str, str]] = [("quality:loss", "large")]
    if task != "regression":
        wanted.append(("quality:accuracy", "errors"))
    learnt, until = dict(watched.learnt), dict(watched.learnt_until)
    ripe = [k for k in looks if k.key in mature and k.labelled]
    for key, field in wanted:
        first = _first(ripe, [k.labelled for k in ripe])
        if key not in learnt and first and not (field == "large" and math.isnan(watched.loss_edge)):
            wrong, n = sum(getattr(k, field) for k in first), sum(k.labelled for k in first)
            learnt[key], until[key] = (wrong + 0.5, n - wrong + 0.5), first[-1].key
    said = watched.columns.get(PREDICTION)
    with_answers = [k for k in looks if PREDICTION in k.columns]
    first = _first(with_answers, [int(k.columns[PREDICTION].bins.sum()) for k in with_answers])
    if said is not None and "drift:prediction" not in learnt and first:
        bins = said.coarse(np.stack([k.columns[PREDICTION].bins for k in first])).sum(axis=0)
        learnt["drift:prediction"], until["drift:prediction"] = tuple((bins + 0.5).tolist()), first[-1].key
    return dataclasses.replace(watched, learnt=learnt, learnt_until=until)


def _first(looks: list[Look], rows: list[int]) -> list[Look]:
    """The oldest looks that hold enough rows together; none where all of them do not."""
    enough = np.flatnonzero(np.cumsum(rows) >= BASELINE)
    return looks[: int(enough[0]) + 1] if len(enough) else []


def test_subject(subject: Subject, tested: Tested, false_alarms: float) -> tuple[Tested, float, str | None, str | None]:
    """Where the evidence stands now, its log, and the key of the look at which an alarm opened, and closed."""
    counts = [k >= tested.begin for k in subject.keys]
    keys, looks = [k for k in subject.keys if k >= tested.begin], subject.looks[np.array(counts)]
    if tested.opened:
        return _still(subject, tested, keys, looks)
    if not keys:
        return tested, 0.0, None, None
    level = log_level(subject.share, tested.number, false_alarms)
    found = 0.0
    for end in _ends(min(tested.seen, len(keys) - 1), len(keys)):
        found = log_evidence(subject, looks[:end])
        if found >= level:
            start = _started(subject, looks[:end])
            raised = tuple(looks[start:].sum(axis=0).astype(float).tolist())
            return dataclasses.replace(tested, seen=len(keys), raised=raised, opened=keys[-1]), found, keys[start], None
    return dataclasses.replace(tested, seen=len(keys)), found, None, None


def log_level(share: float, number: int, false_alarms: float) -> float:
    """Log e-value at which an alarm opens. All shares, over all beginnings, add up to one: so the promise holds."""
    of = FIRST if number == 1 else (1.0 - FIRST) / (number * (number - 1))
    return -math.log(of * share * false_alarms)


def log_evidence(subject: Subject, looks: Array) -> float:
    return float(rise_evidence(looks, subject.reference) if subject.rise else drift_evidence(looks, subject.reference))


def _ends(seen: int, now: int) -> list[int]:
    new = np.arange(seen + 1, now + 1)
    return [int(e) for e in new[np.unique(np.linspace(0, len(new) - 1, STEPS).astype(int))]] if len(new) else [now]


def _started(subject: Subject, looks: Array) -> int:
    """The look at which the change most probably began: the split that explains the counts best."""
    after = looks[::-1].cumsum(axis=0)[::-1].astype(float)
    before = looks.sum(axis=0) - after
    known = subject.reference + before
    share = (after + 0.5) / (after + 0.5).sum(axis=1, keepdims=True)
    usual = known / known.sum(axis=1, keepdims=True)
    return int((after * np.log(share / usual)).sum(axis=1).argmax())


def _still(
    subject: Subject, tested: Tested, keys: list[str], looks: Array
) -> tuple[Tested, float, str | None, str | None]:
    """Whether an open alarm's subject is back to what it was."""
    newer = [i for i, k in enumerate(keys) if k > tested.opened]
    found = log_evidence(subject, looks) if len(looks) else 0.0
    if newer and back_evidence(looks[newer], subject.reference, np.asarray(tested.raised)) >= BACK:
        return Tested(keys[newer[-1]], tested.number + 1), 0.0, None, keys[newer[-1]]
    return tested, found, None, None


def close(alarms: tuple[Alarm, ...], name: str, of: str, at: str) -> tuple[Alarm, ...]:
    return tuple(
        dataclasses.replace(a, closed=at) if (a.name, a.subject, a.closed) == (name, of, "") else a for a in alarms
    )
