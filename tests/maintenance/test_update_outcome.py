"""What an update returns is what was committed, under a policy as without one; a job that was lost commits nothing."""

from __future__ import annotations

import pytest

from evermodel.core.errors import LeaseLost
from evermodel.core.records.job import Done, Job, JobDecision, JobKind, JobOutcome
from evermodel.core.records.promotion_objection import ObjectionCode, PromotionObjection
from evermodel.core.records.update_decision import EVENT_KINDS, UpdateDecision
from evermodel.maintenance import update_job
from evermodel.updating.stages import Completion
from evermodel.updating.update import UpdateRequest, update_model
from tests.updating.conftest import rows


def approval_required(judged, model):
    return (PromotionObjection(ObjectionCode.APPROVAL_REQUIRED),)


def test_a_promotion_that_awaits_approval_is_returned_recorded_and_kept_as_such(place):
    outcomes = []

    def completing(outcome, result):
        outcomes.append(outcome)
        return Completion()

    new = rows(1500, 60, angle=1.2)
    result = update_model(place.store, "m", new, UpdateRequest(), policy=approval_required, completing=completing)
    assert result.decision is UpdateDecision.AWAITING_APPROVAL
    assert (result.champion, result.challenger, result.in_service) == ("v1", "v2", "v1")
    assert "approval" in result.reasons[-1]
    assert place.champion == "v1"
    event = place.store.read_events("m")[-1]
    assert (event.kind, event.version) == (EVENT_KINDS[UpdateDecision.AWAITING_APPROVAL], "v2")
    assert place.store.read_card("m", "v2").decision == "awaiting_approval"
    (outcome,) = outcomes
    assert (outcome.challenger, outcome.in_service, outcome.decision) == ("v2", "v1", result.decision)
    assert [o.code for o in outcome.objections] == [ObjectionCode.APPROVAL_REQUIRED]


def test_without_an_objection_the_same_update_is_promoted(place):
    result = update_model(place.store, "m", rows(1500, 60, angle=1.2), UpdateRequest())
    assert (result.decision, result.in_service, place.champion) == (UpdateDecision.PROMOTE, "v2", "v2")


def test_a_policy_is_only_asked_about_promotions(place):
    def forbidden(judged, model):
        raise AssertionError("there is nothing to promote")

    request = UpdateRequest(strategy="refit", settings={"window": 1})
    result = update_model(place.store, "m", rows(300, 5), request, policy=forbidden)
    assert result.decision in (UpdateDecision.HOLD, UpdateDecision.REJECT)


@pytest.mark.parametrize("promote", ["approve", "never"])
def test_maintenance_returns_what_it_committed(place, monkeypatch, promote):
    returned = []
    real = update_job.update_model
    monkeypatch.setattr(update_job, "update_model", lambda *a, **k: returned.append(real(*a, **k)))
    place.police(every="week", promote=promote)
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    place.maintain(days=7)
    (result,) = returned
    assert result.decision is UpdateDecision.AWAITING_APPROVAL
    assert result.in_service == place.champion == "v1"


def test_a_job_that_another_worker_took_over_commits_nothing(place):
    place.police(every="week")
    place.maintain()
    place.maintain(days=7)  # without rows: the update waits, and the next one is due
    place.now = place.now.replace(year=place.now.year + 1)
    place.store.add_jobs([Job("m", JobKind.UPDATE, "2027-01-01T00:00:00+00:00")])
    at = place.now.timestamp()
    lost = place.store.lease_job("first", at=at, seconds=1.0)
    assert place.store.lease_job("second", at=at + 10, seconds=60.0) is not None

    def completing(outcome, result):
        return Completion(done=Done(lost, JobOutcome(decision=JobDecision(outcome.decision))))

    events = len(place.store.read_events("m"))
    with pytest.raises(LeaseLost):
        update_model(place.store, "m", rows(1500, 60, angle=1.2), UpdateRequest(), completing=completing)
    assert place.champion == "v1"
    assert len(place.store.read_events("m")) == events
