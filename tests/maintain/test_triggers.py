"""Every reason to update, from real deliveries; and the way that an update then goes."""

from __future__ import annotations

import dataclasses

import pytest

from evermodel.core.store import Move
from evermodel.loop._maintain.memory import Owed, keep, read
from tests.loop.conftest import rows


def updates(done) -> list:
    return [j for j in done.jobs if j.kind == "update"]


def whys(done) -> str:
    return "; ".join(j.why for j in updates(done))


def remember(place, **changes) -> None:
    memory, digest = read(place.store, "m")
    kept = keep(place.store, dataclasses.replace(memory, **changes))
    place.store.point("m", [Move("maintenance", kept, digest)], [])


def test_rows_call_for_an_update(place):
    place.police(check="day", update="month", rows=400, triggers="rows")
    place.deliver("a.csv", 300)
    assert not updates(place.maintain())
    place.deliver("b.csv", 300)
    assert whys(place.maintain(days=1)).startswith("rows: 600 new labelled rows, 400 call for an update")


def test_errors_call_for_an_update(place):
    """The boundary turns; the alarm is told once, and is not answered a second time by the same means."""
    place.police(check="day", update="12 months", triggers="quality")
    told = []
    for day in range(6):
        place.deliver(f"{day}.csv", 300, angle=0.0 if day < 2 else 2.5)
        told.append(whys(place.maintain(days=1)))
    assert told[:2] == ["", ""]
    assert any(w.startswith("quality: the model errs more since") for w in told), told
    assert sum("errs more" in w for w in told) == 1, told


def test_a_column_that_moves_calls_for_an_update(place):
    place.police(check="day", update="12 months", triggers="drift")
    told = []
    for day in range(5):
        frame = rows(300, 200 + day)
        place.deliver(f"{day}.csv", frame=frame if day < 2 else frame.with_columns(a=frame["a"] + 2.0))
        told.append(whys(place.maintain(days=1)))
    assert told[:2] == ["", ""]
    assert any(w.startswith("drift: a changed since") for w in told), told


@pytest.mark.parametrize(("triggers", "expected"), [("age", True), ("rows", False)])
def test_a_model_grows_old(place, triggers, expected):
    """One that maintenance never trained in full is as old as its policy; a full training makes it young."""
    place.police(check="day", update="12 months", age="20 days", triggers=triggers)
    place.deliver("a.csv", 300, angle=0.8)
    assert not updates(place.maintain(days=19))
    place.deliver("b.csv", 300, angle=0.8)
    done = place.maintain(days=2)
    assert ("age: the last full training is 21 days old" in whys(done)) == expected
    if expected:
        assert updates(done)[0].facts["way"] == "lean", updates(done)
        assert not updates(place.maintain(days=1)), "it is young again"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"point_value": 1.0, "volume": 10_000}, True),
     ({"point_value": 1.0, "volume": 10_000, "metric": "log_loss"}, True),
     ({"point_value": 1.0, "volume": 10_000, "second_cost": 1e6}, False),
     ({"point_value": 0.0, "volume": 10_000}, False)],
)  # fmt: skip
def test_what_is_lost_is_held_against_what_training_costs(place, given, expected):
    place.police(check="day", update="12 months", triggers="cost", **given)
    place.deliver("a.csv", 300, angle=1.2)
    remember(place, rates={"light": 0.001})
    done = place.maintain(days=1)
    assert ("winning half back is worth" in whys(done)) == expected, done
    if expected:
        assert f"points of {given.get('metric', 'auc')} lost" in whys(done)


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
    assert waits.decision == "waits"
    frame.select("row", "y").write_csv(answers / "a.csv")
    assert whys(place.maintain(days=1)).startswith("labels: the labels of 400 rows have come, for which")


def test_a_loss_that_a_light_update_does_not_win_back(place):
    """Labels say the opposite. A light update gains a little, and its version's alarms begin at its own low level."""
    place.police(check="day", update="12 months", triggers="quality", growth=100)
    ways, said = [], []
    for day in range(8):
        place.deliver(f"{day}.csv", 300, angle=0.0 if day < 2 else 3.1)
        done = place.maintain(days=1)
        ways += [j.facts["way"] for j in updates(done)]
        said += [w for j in done.jobs for w in (j.why, *j.said)]
    assert ways == ["light", "lean"], ways
    assert any("is still open after a light update" in w for w in said), said
    assert any(w.startswith("won back: auc was 0.1") for w in said), said
    assert read(place.store, "m")[0].owed is None


def test_what_is_not_won_back_is_tried_again_when_twice_as_much_is_known():
    owed = Owed(0.9, 0.5, "light", known=1000)
    assert owed.again(1100), "a full training was not tried yet"
    owed = dataclasses.replace(owed, way="lean", tried=1200)
    assert not owed.again(1399) and owed.again(1400)
    assert (owed.won(0.5), owed.won(0.7)) == pytest.approx((0.0, 0.5))
    assert Owed(0.2, 0.6, "light", 0).won(0.5) == pytest.approx(0.25), "of a loss, less is better"


@pytest.mark.parametrize(("gains", "way"), [((5.0, 1.0, 0.5), "tune"), ((5.0, 4.0, 5.0), "lean")])
def test_a_search_where_full_trainings_win_less_and_less(place, gains, way):
    """Light, then in full, then other hyperparameters: each heavier way only after the one before did not help."""
    place.police(check="day", update="12 months", triggers="quality", growth=100)
    place.deliver("a.csv", 400, angle=1.0)
    owed = Owed(0.9, 0.6, "lean", known=600, tried=700, short=True)
    remember(place, owed=owed, gains=gains, judged=(0.9, 0.61))
    (update,) = updates(place.maintain(days=1))
    assert "quality: a loss from 0.9000 to 0.6000 is still open after a full training" in update.why
    assert update.facts["way"] == way
    assert place.store.cards("m")[-1].change == ("tune" if way == "tune" else "refit")
    after = read(place.store, "m")[0].owed
    assert (after.way, after.tried, after.short) == (way, 1000, False)
