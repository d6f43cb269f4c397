"""Every reason to update, from real deliveries; and the way that an update then goes."""

from __future__ import annotations

import dataclasses

import pytest

from evermodel.core.records.update_mode import UnrecoveredLoss, UpdateMode
from evermodel.core.store import Move
from evermodel.maintenance.job_wording import describe_reasons
from evermodel.maintenance.maintenance_state import read_maintenance_state, write_maintenance_state
from tests.updating.conftest import rows


def updates(done) -> list:
    return [j for j in done.jobs if j.kind == "update"]


def whys(done) -> str:
    return "; ".join(describe_reasons(j.reasons) for j in updates(done))


def remember(place, **changes) -> None:
    memory, digest = read_maintenance_state(place.store, "m")
    kept = write_maintenance_state(place.store, dataclasses.replace(memory, **changes))
    place.store.commit_moves("m", [Move("maintenance", kept, digest)], [])


def test_rows_call_for_an_update(place):
    place.police(check="day", update="month", rows=400, triggers="rows")
    place.deliver("a.csv", 300)
    assert not updates(place.maintain())
    place.deliver("b.csv", 300)
    assert whys(place.maintain(days=1)).startswith(
        "600 new labelled rows have come; the policy asks for an update at 400"
    )


def test_errors_call_for_an_update(place):
    """The boundary turns; the alarm is told once, and is not answered a second time by the same means."""
    place.police(check="day", update="12 months", triggers="quality")
    told = []
    for day in range(6):
        place.deliver(f"{day}.csv", 300, angle=0.0 if day < 2 else 2.5)
        told.append(whys(place.maintain(days=1)))
    assert told[:2] == ["", ""]
    assert any(w.startswith("the model errs more often since") for w in told), told
    assert sum("errs more often" in w for w in told) == 1, told


def test_a_column_that_moves_calls_for_an_update(place):
    place.police(check="day", update="12 months", triggers="drift")
    told = []
    for day in range(5):
        frame = rows(300, 200 + day)
        place.deliver(f"{day}.csv", frame=frame if day < 2 else frame.with_columns(a=frame["a"] + 2.0))
        told.append(whys(place.maintain(days=1)))
    assert told[:2] == ["", ""]
    assert any(w.startswith("a is distributed differently since") for w in told), told


@pytest.mark.parametrize(("triggers", "expected"), [("age", True), ("rows", False)])
def test_a_model_grows_old(place, triggers, expected):
    """One that maintenance never trained in full is as old as its policy; a full training makes it young."""
    place.police(check="day", update="12 months", age="20 days", triggers=triggers)
    place.deliver("a.csv", 300, angle=0.8)
    assert not updates(place.maintain(days=19))
    place.deliver("b.csv", 300, angle=0.8)
    done = place.maintain(days=2)
    assert ("the last full training is 21 days old" in whys(done)) == expected
    if expected:
        assert updates(done)[0].outcome.update_mode == "single_fit", updates(done)
        assert not updates(place.maintain(days=1)), "it is young again"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"point_value": 1.0, "volume": 10_000}, True),
        ({"point_value": 1.0, "volume": 10_000, "metric": "log_loss"}, True),
        ({"point_value": 1.0, "volume": 10_000, "second_cost": 1e6}, False),
        ({"point_value": 0.0, "volume": 10_000}, False),
    ],
)
def test_what_is_lost_is_held_against_what_training_costs(place, given, expected):
    place.police(check="day", update="12 months", triggers="cost", **given)
    place.deliver("a.csv", 300, angle=1.2)
    remember(place, rates={"incremental": 0.001})
    done = place.maintain(days=1)
    assert ("to recover half of them is worth" in whys(done)) == expected, done
    if expected:
        assert f"points of {given.get('metric', 'auc')} are lost" in whys(done)


def test_a_gain_is_no_loss(place):
    """Of a metric where less is better, less is no reason to train."""
    place.police(check="day", update="12 months", triggers="cost", point_value=1.0, volume=10_000, metric="log_loss")
    place.deliver("a.csv", frame=easy(300))
    assert not updates(place.maintain(days=1))


def easy(n: int):
    """Rows far from the boundary: whoever knows it is right."""
    frame = rows(6 * n, 300)
    return frame.with_columns(a=frame["a"] * 3.0).filter((frame["a"].abs() > 0.7) & (frame["y"] == (frame["a"] > 0)))[
        :n
    ]


def test_labels_that_an_update_waited_for(place, tmp_path):
    answers = tmp_path / "answers"
    answers.mkdir()
    place.police(check="day", update="2 days", triggers="schedule,labels", labels=f"{answers}/*.csv", id="row")
    frame = rows(400, 90, angle=0.8).with_row_index("row")
    place.deliver("a.csv", frame=frame.drop("y"))
    place.maintain()
    (waits,) = updates(place.maintain(days=2))
    assert waits.decision == "wait"
    frame.select("row", "y").write_csv(answers / "a.csv")
    assert whys(place.maintain(days=1)).startswith("the labels of 400 rows have come, for which")


def test_a_loss_that_a_light_update_does_not_win_back(place):
    """Labels say the opposite. A light update gains a little, and its version's alarms begin at its own low level."""
    place.police(check="day", update="12 months", triggers="quality", growth=100)
    ways, said = [], []
    for day in range(8):
        place.deliver(f"{day}.csv", 300, angle=0.0 if day < 2 else 3.1)
        done = place.maintain(days=1)
        ways += [j.outcome.update_mode for j in updates(done)]
        said += [w for j in done.jobs for w in (describe_reasons(j.reasons), *j.notes)]
    assert ways == ["incremental", "single_fit"], ways
    assert any(
        "is still open after an incremental update" in w or "is not recovered after an incremental update" in w
        for w in said
    ), said
    assert any(w.startswith("the loss is recovered: auc was 0.1") for w in said), said
    assert read_maintenance_state(place.store, "m")[0].unrecovered_loss is None


def test_what_is_not_won_back_is_tried_again_when_twice_as_much_is_known():
    owed = UnrecoveredLoss(0.9, 0.5, UpdateMode.INCREMENTAL, n_known=1000)
    assert owed.justifies_training(1100), "a full training was not tried yet"
    owed = dataclasses.replace(owed, mode=UpdateMode.SINGLE_FIT, n_tried=1200)
    assert not owed.justifies_training(1399) and owed.justifies_training(1400)
    assert (owed.compute_recovered_share(0.5), owed.compute_recovered_share(0.7)) == pytest.approx((0.0, 0.5))
    assert UnrecoveredLoss(0.2, 0.6, UpdateMode.INCREMENTAL, 0).compute_recovered_share(0.5) == pytest.approx(0.25), (
        "of a loss, less is better"
    )


@pytest.mark.parametrize(("gains", "way"), [((5.0, 1.0, 0.5), "tune"), ((5.0, 4.0, 5.0), "single_fit")])
def test_a_search_where_full_trainings_win_less_and_less(place, gains, way):
    """Light, then in full, then other hyperparameters: each heavier way only after the one before did not help."""
    place.police(check="day", update="12 months", triggers="quality", growth=100)
    place.deliver("a.csv", 400, angle=1.0)
    owed = UnrecoveredLoss(0.9, 0.6, UpdateMode.SINGLE_FIT, n_known=600, n_tried=700, is_short=True)
    remember(place, unrecovered_loss=owed, gains=gains, judged=(0.9, 0.61))
    (update,) = updates(place.maintain(days=1))
    assert "a loss from 0.9000 to 0.6000 is not recovered after a full training" in describe_reasons(update.reasons)
    assert update.outcome.update_mode == way
    assert place.store.list_cards("m")[-1].strategy == ("tune" if way == "tune" else "refit")
    after = read_maintenance_state(place.store, "m")[0].unrecovered_loss
    assert (after.mode, after.n_tried, after.is_short) == (way, 1000, False)
