"""What every store that hands out jobs obeys: each once, to one at a time, its effect with its end or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from evermodel.core.errors import LeaseLost
from evermodel.core.job import Done, Job
from evermodel.core.store import Event, Move, Store

Opened = Callable[[], Store]
DUE = Job("m", "check", "2026-01-01T00:00:00+00:00", "schedule")


def what_is_due_exists_once(opened: Opened) -> None:
    """The same job said by many at once is one job; another due moment, kind or model is another."""
    with ThreadPoolExecutor(6) as pool:
        new = list(pool.map(lambda _: opened().add_jobs([DUE]), range(12)))
    assert sum(new) == 1, f"{sum(new)} of 12 said the job was new"
    others = [dataclasses.replace(DUE, due="2026-01-02T00:00:00+00:00"), dataclasses.replace(DUE, kind="update")]
    assert opened().add_jobs([*others, DUE]) == 2
    assert len(opened().jobs("m")) == 3


def a_job_is_held_by_one(opened: Opened) -> None:
    """Of many who ask at once, one gets it; a model's next job waits until it has ended."""
    opened().add_jobs([DUE, dataclasses.replace(DUE, kind="update")])
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda i: opened().lease(f"w{i}", at=0.0, seconds=60.0), range(12)))
    held = [j for j in got if j is not None]
    assert [(j.kind, j.fence) for j in held] == [("check", 1)], f"held: {held}"
    opened().point("m", [], [], Done(held[0], {}))
    following = opened().lease("w", at=0.0, seconds=60.0)
    assert following is not None and following.kind == "update", "the next job did not come free"


def whoever_wakes_up_late_is_refused(opened: Opened) -> None:
    """A worker whose job was taken over moves nothing, ends nothing, and prolongs nothing."""
    store = opened()
    store.add_jobs([DUE])
    late = store.lease("late", at=0.0, seconds=10.0)
    assert late is not None
    assert store.lease("early", at=5.0, seconds=10.0) is None, "it was handed out twice"
    taken = opened().lease("other", at=11.0, seconds=10.0)
    assert taken is not None and taken.fence == 2, "the lease ended and nobody got the job"
    for act in (
        lambda: store.point("m", [Move("champion", "v9", None)], [Event("m", "promoted", "now")], Done(late, {})),
        lambda: store.point("m", [Move("champion", "v9", None)], [], Done(late)),
        lambda: store.beat(late, until=99.0),
        lambda: store.fail(late, {}, after=None),
    ):
        _refused(act)
    assert opened().at("m", "champion") is None and not opened().log("m"), "a stale worker had an effect"
    opened().point("m", [Move("champion", "v1", None)], [], Done(taken, {"said": []}))
    assert opened().jobs("m")[0].state == "done"
    _refused(lambda: store.point("m", [Move("champion", "v9", "v1")], [], Done(taken, {})))


def an_effect_and_the_end_are_one(opened: Opened) -> None:
    """Where the move is refused the job has not ended; where it is made, the job has ended and what is next is due."""
    store = opened()
    store.add_jobs([DUE])
    job = store.lease("w", at=0.0, seconds=60.0)
    assert job is not None
    following = dataclasses.replace(DUE, kind="update")
    try:
        store.point("m", [Move("champion", "v2", "v1")], [], Done(job, {}, (following,)))
    except LeaseLost:
        raise AssertionError("refused for another reason than the move") from None
    except Exception as error:
        assert type(error).__name__ == "Moved", error
    assert [j.state for j in opened().jobs("m")] == ["running"], "the job ended without its effect"
    store.point("m", [Move("champion", "v1", None)], [], Done(job, {}, (following,)))
    assert [(j.kind, j.state) for j in opened().jobs("m")] == [("check", "done"), ("update", "due")]


def nobody_is_killed_by_a_job_for_ever(opened: Opened) -> None:
    """A job with which ``most`` workers were lost is dead and told why; revived, it is due again."""
    store = opened()
    store.add_jobs([DUE])
    for i in range(3):
        assert store.lease(f"w{i}", at=100.0 * i, seconds=10.0, most=3) is not None
    assert store.lease("w", at=1_000.0, seconds=10.0, most=3) is None
    (dead,) = opened().jobs("m")
    assert dead.state == "dead" and "lost" in dead.outcome["error"], dead
    assert store.revive("m") == 1 and store.lease("w", at=1_000.0, seconds=10.0, most=3) is not None


def a_failure_waits(opened: Opened) -> None:
    """After a failure a job is not begun before its time."""
    store = opened()
    store.add_jobs([DUE])
    job = store.lease("w", at=0.0, seconds=10.0)
    assert job is not None
    store.fail(job, {"error": "no"}, after=50.0)
    assert store.lease("w", at=49.0, seconds=10.0) is None
    again = store.lease("w", at=50.0, seconds=10.0)
    assert again is not None and again.attempts == 2


def _refused(act: Callable[[], object]) -> None:
    try:
        act()
    except LeaseLost:
        return
    raise AssertionError("a stale worker was not refused")


LAWS = (
    what_is_due_exists_once, a_job_is_held_by_one, whoever_wakes_up_late_is_refused, an_effect_and_the_end_are_one,
    nobody_is_killed_by_a_job_for_ever, a_failure_waits,
)  # fmt: skip
