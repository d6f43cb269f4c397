"""A release that grows by itself: what evidence makes of it, and a real server that follows it."""

from __future__ import annotations

from dataclasses import replace

import httpx
import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.records.event import Actor, EventKind
from evermodel.core.stats.paired_e_process import compute_log_wealth, e_value
from evermodel.registry.lookup import open_store
from evermodel.registry.predictions.compare_logged import MARGIN, LoggedComparison
from evermodel.registry.predictions.staged_release import (
    STAGE_PAIRS,
    ReleaseEnd,
    ReleasePhase,
    StagedRelease,
    abort_release,
    advance,
    begin_release,
    read_release,
    show_release,
)
from tests.cli.ground import ask
from tests.server.conftest import wait_for
from tests.server.test_trials import send
from tests.updating.conftest import rows

BEGUN = StagedRelease("v2", "v1", (0.01, 0.05, 0.25), "2026-01-01T00:00:00+00:00")


def evidence(pairs: int, worse: float = 1.0, no_worse: float = 1.0) -> LoggedComparison:
    return LoggedComparison("canary", pairs, pairs, 0.1, 0.1, worse, 1.0, no_worse)


def test_each_stage_waits_for_pairs_of_its_own():
    release = advance(BEGUN, evidence(STAGE_PAIRS - 1), "v1", failed=False)
    assert (release.stage, release.share) == (0, 0.01)
    release = advance(release, evidence(STAGE_PAIRS), "v1", failed=False)
    assert (release.stage, release.share, release.stage_pairs) == (1, 0.05, STAGE_PAIRS)
    release = advance(release, evidence(2 * STAGE_PAIRS - 1), "v1", failed=False)
    assert release.stage == 1
    release = advance(release, evidence(2 * STAGE_PAIRS), "v1", failed=False)
    assert (release.stage, release.share) == (2, 0.25)
    release = advance(release, evidence(4 * STAGE_PAIRS, no_worse=19.9), "v1", failed=False)
    assert release.phase is ReleasePhase.RUNNING
    release = advance(release, evidence(4 * STAGE_PAIRS, no_worse=20.0), "v1", failed=False)
    assert (release.phase, release.end, release.share) == (ReleasePhase.PROMOTED, ReleaseEnd.NO_WORSE, 1.0)


def test_a_sign_of_harm_stops_the_growth_and_proof_of_it_ends_the_release():
    waiting = advance(BEGUN, evidence(500, worse=4.0), "v1", failed=False)
    assert (waiting.stage, waiting.phase) == (0, ReleasePhase.RUNNING)
    assert advance(BEGUN, evidence(500, worse=99.9), "v1", failed=False).phase is ReleasePhase.RUNNING
    ended = advance(BEGUN, evidence(7, worse=100.0, no_worse=99.0), "v1", failed=False)
    assert (ended.phase, ended.end, ended.share) == (ReleasePhase.ROLLED_BACK, ReleaseEnd.WORSE, 0.0)


def test_failures_and_other_champions_end_it_without_labels():
    assert advance(BEGUN, None, "v1", failed=False) == BEGUN
    assert advance(BEGUN, None, "v1", failed=True).end is ReleaseEnd.FAILED
    overtaken = advance(BEGUN, evidence(9_999, no_worse=99.0), "v3", failed=False)
    assert (overtaken.phase, overtaken.end) == (ReleasePhase.ABORTED, ReleaseEnd.OVERTAKEN)
    for phase in (ReleasePhase.PROMOTED, ReleasePhase.ABORTED, ReleasePhase.ROLLED_BACK):
        over = replace(BEGUN, phase=phase)
        assert advance(over, evidence(9_999, worse=99.0), "v3", failed=True) == over


def simulate(harm: float, seed: int, looks: int = 60, each: int = 50) -> ReleasePhase:
    """A release whose losses are worse by ``harm``, looked at after every ``each`` pairs."""
    random = np.random.default_rng(seed)
    difference = np.clip(random.normal(harm, 0.25, looks * each), -1.0, 1.0)  # of one pair: its loss less the other's
    release = BEGUN
    for look in range(1, looks + 1):
        d = difference[: look * each]
        e = [e_value(compute_log_wealth(x)) for x in (d, -d, MARGIN - d)]
        held = LoggedComparison("canary", len(d), len(d), 0.0, 0.0, e[0], e[1], e[2])
        release = advance(release, held, "v1", failed=False)
        if release.phase is not ReleasePhase.RUNNING:
            break
    return release.phase


def test_an_equal_version_is_rarely_taken_back_and_a_harmful_one_always():
    """500 releases of each, looked at 60 times. An equal one serves in the end, where there are enough labels."""
    equal = [simulate(0.0, seed) for seed in range(500)]
    assert equal.count(ReleasePhase.ROLLED_BACK) <= 5
    assert equal.count(ReleasePhase.PROMOTED) >= 400
    harmful = [simulate(0.05, seed) for seed in range(500)]
    assert harmful.count(ReleasePhase.ROLLED_BACK) >= 490
    assert harmful.count(ReleasePhase.PROMOTED) == 0


def answer_and_label(registry, client, frame) -> list[str]:
    """Requests that are answered and then labelled; the versions that answered."""
    ids, versions = send(client, frame, 4)
    evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"]}), registry=registry)
    return versions


def test_a_better_version_grows_and_then_serves(registry):
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        begun = ask(["release", "m", "v2", "--canary", "20%"], registry)
        assert begun.code == 0 and "answers 20 % of the requests beside v1" in begun.out
        assert ask(["release", "m", "--status"], registry).code == 10
        wait_for(lambda: "v2" in send(client, rows(80, 70, angle=1.5), 4)[1])
        seen = []
        for seed in range(71, 80):  # v2 was made for such rows
            answer_and_label(registry, client, rows(1200, seed, angle=1.5))
            wait_for(lambda: show_release("m", registry=registry).release.pairs > (seen[-1].pairs if seen else 0))
            seen.append(show_release("m", registry=registry).release)
            if seen[-1].phase is not ReleasePhase.RUNNING:
                break
        assert (seen[-1].phase, seen[-1].end) == (ReleasePhase.PROMOTED, ReleaseEnd.NO_WORSE)
        assert seen[-1].shares == (0.2, 0.25)
        wait_for(lambda: set(send(client, rows(40, 90, angle=1.5), 4)[1]) == {"v2"})
    assert evermodel.open(registry)["m"].champion.name == "v2"
    last = open_store(registry).read_events("m")[-1]
    assert last.kind is EventKind.RELEASED and last.data.by is Actor.RELEASE
    status = ask(["release", "m", "--status"], registry)
    assert status.code == 0 and "m v2: promoted, because labels show that it is no worse" in status.out
    assert ask(["rollback", "m"], registry).code == 0  # as after any promotion
    assert evermodel.open(registry)["m"].champion.name == "v1"


def test_a_worse_version_is_taken_back_by_itself(registry):
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        begin_release("m", "v2", share=0.3, registry=registry)
        wait_for(lambda: "v2" in send(client, rows(80, 60), 4)[1])
        for seed in range(61, 67):  # v1 was made for such rows
            answer_and_label(registry, client, rows(1200, seed))
            if show_release("m", registry=registry).release.phase is not ReleasePhase.RUNNING:
                break
        wait_for(lambda: show_release("m", registry=registry).release.phase is ReleasePhase.ROLLED_BACK)
        wait_for(lambda: set(send(client, rows(80, 68), 4)[1]) == {"v1"})
    release = show_release("m", registry=registry).release
    assert release.end is ReleaseEnd.WORSE and release.worse >= 100.0 and release.stage == 0
    assert evermodel.open(registry)["m"].champion.name == "v1"
    assert open_store(registry).read_events("m")[-1].kind is EventKind.DECLINED
    assert ask(["release", "m", "--status"], registry).code == 11


def test_answers_from_before_a_release_are_no_evidence(registry):
    """v1 served badly before v2 replaced it; a release of v1 now is judged on what it answers now."""
    with (
        evermodel.serve("m", port=0, registry=registry, canary=["m=v2:50%"]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        answer_and_label(registry, client, rows(1200, 81, angle=1.5))
    evermodel.promote("m", "v2", registry=registry)
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        begun = begin_release("m", "v1", share=0.5, registry=registry).release
        wait_for(lambda: "v1" in send(client, rows(80, 82, angle=1.5), 4)[1])
        answer_and_label(registry, client, rows(40, 83, angle=1.5))
        wait_for(lambda: show_release("m", registry=registry).release.pairs > 0)
        assert 0 < show_release("m", registry=registry).release.pairs <= 20
        assert show_release("m", registry=registry).release.since == begun.since


def test_a_version_that_fails_is_taken_back(registry, monkeypatch):
    from evermodel.server.prepared_model import PreparedModel

    predict = PreparedModel.predict

    def fail(self, checked):
        if self.version == "v2" and len(checked) == 3:  # warm-up and golden rows have other sizes
            raise ZeroDivisionError
        return predict(self, checked)

    monkeypatch.setattr(PreparedModel, "predict", fail)
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        begin_release("m", "v2", share=0.9, registry=registry)
        wait_for(lambda: "v2" in send(client, rows(80, 60), 4)[1])
        assert set(send(client, rows(60, 62), 3)[1]) == {"v1"}  # nobody is harmed: the champion answers for it
        wait_for(lambda: show_release("m", registry=registry).release.end is ReleaseEnd.FAILED)
        assert set(send(client, rows(80, 63), 4)[1]) == {"v1"}
    assert evermodel.open(registry)["m"].champion.name == "v1"


def test_a_person_ends_it_and_begins_another(registry):
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        begin_release("m", "v2", share=0.5, registry=registry)
        wait_for(lambda: "v2" in send(client, rows(80, 60), 4)[1])
        with pytest.raises(AskedWrongly, match="is running"):
            begin_release("m", "v2", registry=registry)
        assert ask(["release", "m", "--abort"], registry).code == 0
        wait_for(lambda: set(send(client, rows(80, 61), 4)[1]) == {"v1"})
        with pytest.raises(AskedWrongly, match="is over"):
            abort_release("m", registry=registry)
        begin_release("m", "v2", share=0.5, registry=registry)
        wait_for(lambda: "v2" in send(client, rows(80, 62), 4)[1])
    assert read_release(open_store(registry), "m")[1].phase is ReleasePhase.RUNNING


WRONG = {
    "--canary 0%": (["release", "m", "v2", "--canary", "0%"], "above 0"),
    "--canary 100%": (["release", "m", "v2", "--canary", "100%"], "below 100"),
    "--canary in words": (["release", "m", "v2", "--canary", "some"], "such as 5%"),
    "the champion": (["release", "m", "v1", "--canary", "5%"], "serves already"),
    "a version there is not": (["release", "m", "v9", "--canary", "5%"], "v9"),
    "no version": (["release", "m", "--canary", "5%"], "VERSION"),
    "two requests": (["release", "m", "v2", "--canary", "5%", "--abort"], "one of them"),
    "a version to --status": (["release", "m", "v2", "--status"], "VERSION"),
    "no release": (["release", "m", "--status"], "no release"),
    "nothing to end": (["release", "m", "--abort"], "no release"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_makes_no_sense_is_said(registry, kind):
    typed, says = WRONG[kind]
    answer = ask(typed, registry)
    assert answer.code == 2 and says in answer.err
    assert read_release(open_store(registry), "m") == (None, None)


def test_the_errors_are_typed(registry):
    with pytest.raises(BadSetting):
        begin_release("m", "v2", share=1.5, registry=registry)
    with pytest.raises(NotFound):
        show_release("m", registry=registry)
