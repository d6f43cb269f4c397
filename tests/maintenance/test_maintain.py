"""The loop that runs itself: from a delivered file to a judged promotion, and back where it was wrong."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.clock import wall_clock
from evermodel.core.errors import AskedWrongly, ContractBroken, OutOfSpace
from evermodel.core.records.event import Actor
from evermodel.core.records.job import Job, JobKind
from evermodel.core.stats.paired_e_process import (
    STAKES,
    add_wealth,
    compute_log_wealth,
    e_value,
    ranking_losses,
    row_losses,
)
from evermodel.core.store import Move
from evermodel.maintenance import update_job, worker
from evermodel.maintenance.job_context import STEPS, JobContext
from evermodel.maintenance.job_wording import describe_reasons
from evermodel.maintenance.maintenance_state import (
    MaintenanceState,
    Probation,
    read_maintenance_state,
    write_maintenance_state,
)
from evermodel.maintenance.schedule_jobs import read_policy
from evermodel.registry.evidence import deciding_comparison
from tests.cli.ground import ask
from tests.updating.conftest import rows


def of(done, kind):
    return [j for j in done.jobs if j.kind == kind]


def test_a_week_passes_and_the_model_is_better(place):
    place.police(every="week", growth=10)
    place.deliver("a.csv", 600, angle=0.8)
    first = place.maintain()
    assert [(j.kind, j.state) for j in first.jobs] == [("check", "done")], first
    assert "took 600 rows" in str(first)
    again = place.maintain(days=1)
    assert not again.jobs, "nothing is due, so nothing is done"
    place.deliver("b.csv", 600, angle=0.8)
    (update,) = of(place.maintain(days=7), "update")
    assert (update.state, update.decision) == ("done", "promote"), update
    assert place.champion == "v2"
    assert update.outcome.update_mode == "incremental"
    assert read_maintenance_state(place.store, "m")[0].rows_ready == 0
    assert read_maintenance_state(place.store, "m")[0].probation.former == "v1"
    assert sum(read_maintenance_state(place.store, "m")[0].spent.values()) > 0


def test_what_was_missed_is_caught_up_once(place):
    place.police(check="day", update="week")
    place.maintain()
    done = place.maintain(days=30)
    assert len(of(done, "check")) == 1
    assert len(of(done, "update")) == 1
    assert not place.maintain().jobs


def test_a_dry_run_says_what_is_due_and_does_nothing(place):
    place.police()
    told = place.maintain(dry_run=True)
    assert [(j.kind, j.state) for j in told.jobs] == [("check", "due")]
    assert not place.store.list_jobs()


def test_a_broken_file_and_another_schema_stop_nobody_else(place):
    place.police()
    place.deliver("good.csv", 200)
    (place.inbox / "cut.parquet").write_bytes(b"PAR1 and then the disk was full")
    place.deliver("renamed.csv", frame=rows(200, 90).rename({"b": "something_else"}))
    (check,) = place.maintain().jobs
    assert check.state == "done"
    told = "\n".join(check.notes)
    assert "took 200 rows" in told
    assert "cut.parquet" in told
    assert "'b' is missing" in told
    assert [e.kind for e in place.store.read_events("m")].count("delivery refused") == 2
    rows(200, 91).write_csv(place.inbox / "renamed.csv")  # mended
    (check,) = place.maintain(days=1).jobs
    assert check.notes[0].startswith("took 200 rows"), check.notes
    assert len([w for w in check.notes if "refused" in w]) == 0, "what is known to be broken is not told again"


def test_a_file_that_has_no_row_yet_is_no_refused_delivery(place):
    place.police()
    place.deliver("later.csv", frame=rows(200, 92).head(0))
    place.maintain()
    assert not [e for e in place.store.read_events("m") if e.kind == "delivery refused"]
    place.deliver("later.csv", frame=rows(200, 92))
    assert "took 200 rows" in "\n".join(place.maintain(days=1).jobs[0].notes)


def test_rows_that_come_twice_count_once(place):
    place.police()
    frame = rows(200, 95)
    place.deliver("a.csv", frame=frame)
    place.maintain()
    place.deliver("b.csv", frame=pl.concat([frame, rows(50, 96)]))
    place.deliver("c.csv", frame=frame)
    told = "\n".join(place.maintain(days=1).jobs[0].notes)
    assert "took 50 rows" in told
    assert "200 had come before" in told
    assert read_maintenance_state(place.store, "m")[0].rows_ready == 250


def test_rows_without_labels_that_come_twice_wait_once(place, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    place.police(labels=str(labels), id="row_id")
    frame = rows(300, 97).with_row_index("row_id").drop("y")
    place.deliver("rows.csv", frame=frame)
    place.maintain()
    place.deliver("again.csv", frame=frame.reverse())
    (check,) = place.maintain(days=1).jobs
    assert check.state == "done"
    told = "\n".join(check.notes)
    assert "took 0 rows" in told
    assert "300 had come before" in told, told
    assert sum(r.rows for r in read_maintenance_state(place.store, "m")[0].waiting) == 300


def test_late_labels_find_their_rows(place, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    place.police(labels=str(labels), id="row_id")
    frame = rows(300, 97).with_row_index("row_id")
    place.deliver("rows.csv", frame=frame.drop("y"))
    frame.select("row_id", "y")[:100].write_csv(labels / "early.csv")
    told = "\n".join(place.maintain().jobs[0].notes)
    assert "100 labels found their rows; 200 wait" in told, told
    frame.select("row_id", "y")[50:280].write_csv(labels / "late.csv")
    told = "\n".join(place.maintain(days=1).jobs[0].notes)
    assert "180 labels found their rows; 20 wait" in told, told
    memory = read_maintenance_state(place.store, "m")[0]
    assert memory.rows_ready == 280
    assert sum(r.rows for r in memory.waiting) == 20
    told = "\n".join(of(place.maintain(days=100), "check")[0].notes)
    assert "20 rows got no label within 90 days" in told


def test_a_failure_is_tried_again_and_given_up_in_words(place, monkeypatch):
    place.police(retries=1)

    def full(turn):
        raise OutOfSpace("The disk is full.", "Free some space first.")

    monkeypatch.setattr(STEPS.load_module("intake"), "intake", full)
    (check,) = place.maintain().jobs
    assert check.state == "again"
    assert "disk is full" in check.notes[0]
    assert not place.maintain().jobs, "not before its time"
    (check,) = place.maintain(days=0.01).jobs
    assert check.state == "dead"
    (dead,) = place.store.list_jobs(states=("dead",))
    assert "disk is full" in dead.outcome.error.message
    monkeypatch.undo()
    assert [j.state for j in place.maintain(days=1).jobs] == ["done"], "the next job goes on"
    again = place.maintain(retry=True).jobs
    assert [(j.due, j.state) for j in again] == [(dead.due, "done")], "and the dead one where a person asks for it"
    assert not place.maintain(retry=True).jobs


def test_a_job_that_takes_too_long_stops_between_stages_and_no_signal_handler_is_touched(place, monkeypatch):
    place.police(timeout="1s", retries=0)
    handler = signal.getsignal(signal.SIGALRM)
    seen = []

    def slow(context):
        for _ in range(300):
            time.sleep(0.1)
            seen.append(signal.getsignal(signal.SIGALRM))
            context.progress("still at it")
        return context

    monkeypatch.setattr(STEPS.load_module("watch"), "watch", slow)
    began = time.monotonic()
    (check,) = place.maintain().jobs
    assert time.monotonic() - began < 25
    assert check.state == "dead"
    assert "longer than 1 s" in check.notes[0]
    assert check.outcome.error.type == "JobTimedOut"
    assert set(seen) == {handler}


def test_the_command_stops_a_job_in_the_middle_of_a_stage(place, monkeypatch):
    place.police(timeout="1s", retries=0)
    handler = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(STEPS.load_module("watch"), "watch", lambda context: time.sleep(600))
    began = time.monotonic()
    answer = ask(["maintain", "m", "--once"], place.registry)
    assert time.monotonic() - began < 300
    assert (answer.code, "longer than 1 s" in answer.out) == (21, True)
    assert signal.getsignal(signal.SIGALRM) == handler


def test_an_error_of_the_program_is_not_tried_again_and_keeps_its_traceback(place, monkeypatch):
    place.police(retries=3)

    def broken(context):
        return {}["nothing"]

    monkeypatch.setattr(STEPS.load_module("watch"), "watch", broken)
    (check,) = place.maintain().jobs
    assert (check.state, check.attempts) == ("dead", 1)
    (dead,) = place.store.list_jobs("m", states=("dead",))
    assert dead.outcome.error.type == "KeyError"
    assert 'return {}["nothing"]' in dead.outcome.error.traceback


def test_a_replica_that_wakes_up_late_cannot_promote(place, monkeypatch):
    place.police(every="week")
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    real = worker.run_update

    def paused(turn):  # meanwhile the lease ends, and another does the job
        place.now += dt.timedelta(hours=1)
        taken = place.store.lease_job("another", at=place.now.timestamp(), seconds=1e6)
        assert taken is not None
        return real(turn)

    monkeypatch.setattr(worker, "run_update", paused)
    (update,) = of(place.maintain(days=7), "update")
    assert update.state == "lost"
    assert place.champion == "v1"
    assert not [e for e in place.store.read_events("m") if e.kind == "promoted"]


@pytest.mark.parametrize(("promote", "settings"), [("approve", {}), ("auto", {"max_latency": 0.1})])
def test_what_the_policy_does_not_allow_waits_for_a_person(place, promote, settings):
    place.police(every="week", promote=promote, **settings)
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    (update,) = of(place.maintain(days=7), "update")
    assert update.decision == "awaiting_approval", update
    assert place.champion == "v1"
    with pytest.raises(AskedWrongly, match="v2 waits, not v9"):
        evermodel.approve("m", "v9", registry=place.registry)
    answer = ask(["approve", "m", "v2", "--json"], place.registry)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["serving"] == "v2"
    assert place.champion == "v2"
    assert read_maintenance_state(place.store, "m")[0].probation.version == "v2"
    assert ask(["approve", "m"], place.registry).code == 2, "nothing waits any more"


def test_what_is_declined_does_not_serve(place):
    place.police(every="week", promote="never")
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    place.maintain(days=7)
    done = evermodel.approve("m", reject=True, registry=place.registry)
    assert (done.decision, place.champion) == ("declined", "v1")


def test_a_month_without_budget_waits(place):
    place.police(every="week", budget=0)
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    memory, digest = read_maintenance_state(place.store, "m")
    rich = MaintenanceState(ready=memory.ready, deliveries=memory.deliveries, rates={"incremental": 1.0})
    place.store.commit_moves("m", [Move("maintenance", write_maintenance_state(place.store, rich), digest)], [])
    (update,) = of(place.maintain(days=7), "update")
    assert update.decision == "wait", update
    assert "compute seconds are left of 0 this month" in str(update.notes)
    assert read_maintenance_state(place.store, "m")[0].rows_ready == 600, "nothing is lost"


def test_probation_goes_back_to_the_better_one(place):
    """A version that learnt wrong labels is promoted by hand; its own next rows take it back."""
    place.police(check="day", update="month")
    poison = rows(900, 70).with_columns(y=1 - pl.col("y"))
    for i in range(2):  # the same recipe on wrong rows
        evermodel.update(
            "m",
            poison[i * 450 : (i + 1) * 450],
            strategy="leaf_refit",
            settings={"decay": 0.0},
            registry=place.registry,
        )
    worst = place.store.list_cards("m")[-1].version
    if place.champion != worst:
        evermodel.promote("m", worst, registry=place.registry)
    place.maintain()
    memory, digest = read_maintenance_state(place.store, "m")
    on = Probation(worst, "v1", place.now.timestamp() + 30 * 86_400, block=1)
    memory = MaintenanceState(deliveries=memory.deliveries, probation=on)
    place.store.commit_moves("m", [Move("maintenance", write_maintenance_state(place.store, memory), digest)], [])
    place.deliver("next.csv", 400)
    (check,) = place.maintain(days=1).jobs
    assert "went back to v1" in "\n".join(check.notes)
    assert place.champion == "v1"
    assert place.store.read_events("m")[-1].data.by is Actor.PROBATION


@pytest.mark.parametrize(("errs", "ranks"), [(8.0, 0.0), (0.0, 8.0), (0.0, 0.0)])
def test_probation_counts_errors_and_ranking_as_well(place, errs, ranks):
    """Equal by their losses (they are the same model twice): one of the other bets alone takes a version back."""
    place.police(check="day", update="month")
    evermodel.update("m", rows(450, 70), strategy="leaf_refit", settings={"decay": 1.0}, registry=place.registry)
    again = place.store.list_cards("m")[-1].version
    if place.champion != again:
        evermodel.promote("m", again, registry=place.registry)
    place.maintain()
    memory, digest = read_maintenance_state(place.store, "m")
    until = place.now.timestamp() + 30 * 86_400
    on = Probation(again, "v1", until, block=1, errs=(errs,) * len(STAKES), ranks=(ranks,) * len(STAKES))
    kept = write_maintenance_state(place.store, MaintenanceState(deliveries=memory.deliveries, probation=on))
    place.store.commit_moves("m", [Move("maintenance", kept, digest)], [])
    place.deliver("next.csv", 400)
    place.maintain(days=1)
    assert (place.champion == "v1") == bool(errs or ranks)
    if not (errs or ranks):
        after = read_maintenance_state(place.store, "m")[0].probation
        assert after.rows == 400 and len(after.errs) == len(after.ranks) == len(STAKES), "both are bet on"


@pytest.mark.parametrize(("metric", "back"), [("", False), ("accuracy", True), ("auc", False), ("log_loss", False)])
def test_probation_goes_by_the_metric_of_the_policy(place, metric, back):
    """More errors, enough to tell by themselves and not enough beside two tests that see nothing."""
    place.police(check="day", update="month", metric=metric)
    evermodel.update("m", rows(450, 70), strategy="leaf_refit", settings={"decay": 1.0}, registry=place.registry)
    again = place.store.list_cards("m")[-1].version
    if place.champion != again:
        evermodel.promote("m", again, registry=place.registry)
    place.maintain()
    memory, digest = read_maintenance_state(place.store, "m")
    until, some = place.now.timestamp() + 30 * 86_400, float(np.log(28.0))
    on = Probation(again, "v1", until, block=1, errs=(some,) * len(STAKES), ranks=(0.0,) * len(STAKES))
    kept = write_maintenance_state(place.store, MaintenanceState(deliveries=memory.deliveries, probation=on))
    place.store.commit_moves("m", [Move("maintenance", kept, digest)], [])
    place.deliver("next.csv", 400)
    place.maintain(days=1)
    assert (place.champion == "v1") == back


def test_the_metric_of_the_policy_decides(place):
    place.police(every="week", metric="brier")
    place.deliver("a.csv", 600, angle=0.8)
    (update,) = of(place.maintain(days=7), "update")
    assert any("Brier" in w for w in update.notes), update.notes
    event = next(e for e in reversed(place.store.read_events("m")) if e.version == update.outcome.version)
    assert deciding_comparison(place.store, event).metric == "brier"


def test_probation_is_over_and_the_new_one_is_kept(place):
    place.police(every="week", probation="7 days")
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    place.maintain(days=7)
    place.deliver("b.csv", 400, angle=0.8)
    said = "\n".join(w for j in place.maintain(days=8).jobs for w in j.notes)
    assert "kept v2" in said, said


def ready(place, *sizes):
    """A turn of an update with so many deliveries ready."""
    place.police(growth=100, every="50 weeks")
    for i, n in enumerate(sizes):
        place.deliver(f"{i}.csv", n)
    place.maintain()
    memory, digest = read_maintenance_state(place.store, "m")
    job = Job("m", JobKind.UPDATE, "2026-03-02T06:00:00+00:00")
    return JobContext(place.store, read_policy(place.store, "m")[0], job, 0.0, memory, digest, print)


@pytest.mark.parametrize(
    ("misfits", "left"),
    [({220, 260, 360}, [100, 140]), ({220, 240, 260, 360}, [100, 120, 140])],
    ids=["those of 120 rows", "any two, so that none can be told from the others"],
)
def test_an_update_is_made_without_the_one_delivery_that_spoils_the_others(place, monkeypatch, misfits, left):
    def fits(store, name, frame):
        if frame.height in misfits:
            raise ContractBroken("'a' changed its scale.")

    turn = ready(place, 100, 120, 140)
    monkeypatch.setattr(update_job, "read_update_input", fits)
    fitting = update_job.drop_misfits(turn)
    assert [r.rows for r in fitting.state.ready] == left
    assert ("The other rows fit the model" in "\n".join(fitting.outcome.notes)) == (len(left) == 2)


def test_a_bettor_gets_rich_only_on_a_real_difference():
    random = np.random.default_rng(0)
    rich = 0
    for _ in range(400):
        wealth: tuple[float, ...] = ()
        for _ in range(20):  # looked at twenty times
            wealth = add_wealth(wealth, compute_log_wealth(random.choice([-0.4, 0.4], 50)))
            if e_value(wealth) >= 20:
                rich += 1
                break
    assert rich <= 0.05 * 400 + 10
    worse = compute_log_wealth(random.normal(0.05, 0.2, 2_000))
    assert e_value(worse) > 20
    assert len(worse) == len(STAKES)


def test_losses_that_are_equal_may_hide_errors_and_ranking():
    """One says .53 and .47 where that is so, the other .499 and .501: nearly one Brier score, each answer wrong."""
    random = np.random.default_rng(0)
    high = random.random(3_000) < 0.5
    y = (random.random(3_000) < np.where(high, 0.53, 0.47)).astype(int)
    was, now = np.where(high, 0.53, 0.47), np.where(high, 0.499, 0.501)
    losses = [row_losses(y, np.column_stack([1 - p, p]), 1.0) for p in (was, now)]
    assert e_value(compute_log_wealth(losses[1] - losses[0])) < 20
    assert e_value(compute_log_wealth(ranking_losses(y, was, now, 0))) > 20
    assert ranking_losses(y, was, now, 0).mean() == pytest.approx(0.06, abs=0.04), "the AUC lost: .53 - .47"
    rich = sum(
        e_value(compute_log_wealth(ranking_losses(random.integers(0, 2, 300), *random.random((2, 300)), seed=k))) >= 20
        for k in range(400)
    )
    assert rich <= 0.05 * 400 + 10


def test_a_killed_worker_is_followed_by_another(place):
    """Really killed, in the middle of an update; what it had begun is done once by the next."""
    place.police(every="week")
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    code = (
        "import sys, datetime as dt, evermodel; now = dt.datetime.fromisoformat(sys.argv[2])\n"
        "evermodel.maintain(registry=sys.argv[1], clock=lambda: now)"
    )
    later = place.now + dt.timedelta(days=7)
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(place.registry), later.isoformat()], env=env
    )
    until = time.monotonic() + 240
    while not [j for j in place.store.list_jobs(states=("running",)) if j.kind == "update"]:
        assert time.monotonic() < until and child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (left,) = place.store.list_jobs(states=("running",))
    place.now = later
    assert not of(place.maintain(), "update"), "the lease has not ended"
    (update,) = of(place.maintain(days=0.01), "update")
    assert (update.due, update.state, update.attempts) == (left.due, "done", 2)
    assert len([e for e in place.store.read_events("m") if e.kind == "promoted"]) <= 1


def test_the_command_line(place):
    assert ask(["maintain", "m"], place.registry).code == 2, "it has no policy"
    place.police()
    answer = ask(["maintain", "m", "--once", "--json"], place.registry)
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert told["jobs"][0]["reasons"][0]["code"] == "first_check"
    assert told["jobs"][0]["outcome"]["decision"] is None
    assert ask(["maintain", "nobody"], place.registry).code == 2
    assert ask(["maintain", "--once", "--every", "1h"], place.registry).code == 2


def test_whoever_should_know_is_told_once(place, tmp_path):
    told = tmp_path / "told.jsonl"
    place.police(notify=f"log file={told}", promote="approve", every="week")
    place.deliver("bad.csv", frame=rows(200, 98).drop("b"))
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    place.maintain(days=7)
    place.maintain(days=7)
    found = [json.loads(line) for line in told.read_text().splitlines()]
    assert [n["next_command"] for n in found if "approv" in n["key"]] == ["evermodel approve m v2"]
    assert len([n for n in found if "bad.csv" in n["what"]]) == 1
    assert ask(["policy", "m", "--set", "notify=pigeon"], place.registry).code == 2
    assert ask(["policy", "m", "--set", "notify=log file"], place.registry).code == 2


def test_each_reason_to_update_is_told(place):
    place.police(check="day", update="month", rows=400, triggers="rows")
    place.deliver("a.csv", 500, angle=0.8)
    done = place.maintain()
    check, update = done.jobs
    assert "500 new labelled rows have come; the policy asks for an update at 400" in "\n".join(check.notes)
    assert describe_reasons(update.reasons).startswith("500 new labelled rows")
    assert update.state == "done"


def test_the_steps_of_a_check_can_be_others(place, monkeypatch):
    class Outside:
        @staticmethod
        def shadow(turn):
            return turn.with_note("shadowed")

    load = STEPS.load_module
    monkeypatch.setattr(STEPS, "load_module", lambda name: Outside if name == "shadow" else load(name))
    place.police(steps="intake,shadow")
    assert "shadowed" in place.maintain().jobs[0].notes
    assert Job("m", JobKind.CHECK, wall_clock().isoformat()).state == "due"


def test_poisoned_rows_do_not_take_a_good_champion_back(place):
    """The labels of a slice are turned round: the new champion is wrong on them, and rightly so."""
    place.police(check="day", update="month")
    evermodel.update("m", rows(600, 75, angle=0.8), strategy="refit", registry=place.registry)
    if place.champion == "v1":
        evermodel.promote("m", "v2", registry=place.registry)
    place.maintain()
    memory, digest = read_maintenance_state(place.store, "m")
    on = Probation("v2", "v1", place.now.timestamp() + 30 * 86_400, block=1)
    memory = MaintenanceState(deliveries=memory.deliveries, probation=on)
    place.store.commit_moves("m", [Move("maintenance", write_maintenance_state(place.store, memory), digest)], [])
    frame = rows(1_200, 76)
    wrong = frame.with_columns(y=pl.when(pl.col("kind") == "red").then(1 - pl.col("y")).otherwise("y"))
    place.deliver("wrong.csv", frame=wrong)
    said = "\n".join(place.maintain(days=1).jobs[0].notes)
    assert "do not count for the probation of v2: where kind is red" in said, said
    assert read_maintenance_state(place.store, "m")[0].probation.rows == 0
