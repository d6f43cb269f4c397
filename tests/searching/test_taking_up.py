"""Points that racing gave up: where a small space is known whole, those that only chance put behind get their end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from evermodel.core.model.search_space import Dimension, Space
from evermodel.core.model.trials import Racing
from evermodel.core.records.search_record import Trial
from evermodel.plugins.tuners.random import random
from evermodel.plugins.tuners.tpe import tpe
from evermodel.searching.tune.search import SearchRuns
from evermodel.searching.tune.study import Study
from evermodel.searching.tune.trial_fits import Fit

SPACE = Space((Dimension("width", "choice", choices=(1, 2, 3, 4)),))
NOISE = 0.01
OUTSIDE = 9  # a deployed width that is not among the choices
SCORES = {  # by folds; 3 is the best and has an unlucky first fold, 4 trails beyond chance
    OUTSIDE: (0.90, 0.90, 0.90),
    1: (0.90, 0.90, 0.90),
    2: (0.89, 0.88, 0.88),
    3: (0.88, 0.95, 0.95),
    4: (0.80, 0.99, 0.99),
}


@dataclass
class Told:
    """Fits whose scores are a table's, each of ten epochs."""

    scores: dict[int, tuple[float, ...]]
    folds: tuple[int, ...] = (0, 1, 2)

    def out_of_time(self) -> bool:
        return False

    def fit(self, values, fold, watch) -> Fit:
        score = self.scores[values["width"]][fold]
        return Fit(score, 10, ((0.5, score - 0.01), (1.0, score)))


@pytest.fixture
def runs(tmp_path) -> SearchRuns:
    study = Study(tmp_path / "journal", "s", SPACE)
    study.note("noise", NOISE)
    found = SearchRuns(SPACE, Told(SCORES), study, 99)
    found.run({"width": OUTSIDE}, note="as deployed")
    found.run({"width": 1})
    return found


def of(trials: list[Trial], width: int) -> list[Trial]:
    return [t for t in trials if t.values["width"] == width]


@pytest.mark.parametrize("tuner", [tpe, random])
def test_an_unlucky_best_is_taken_up_again_and_its_finished_fold_is_not_trained_twice(runs, tuner):
    tuner(runs)
    given_up, finished = of(runs.trials(), 3)
    assert (given_up.state, given_up.folds, given_up.epochs) == ("stopped", (0.88,), 10)
    assert (finished.state, finished.epochs, finished.note) == ("whole", 20, "taken up again")
    assert finished.folds == SCORES[3]
    assert runs.best().values == {"width": 3}


def test_what_trails_beyond_chance_is_not_taken_up(runs):
    tpe(runs)
    assert [t.state for t in of(runs.trials(), 4)] == ["stopped"]


def test_a_deployed_point_outside_the_space_does_not_stand_for_one_inside(runs):
    tpe(runs)
    assert {t.values["width"] for t in runs.trials()} == {OUTSIDE, 1, 2, 3, 4}


def test_nothing_is_taken_up_while_points_are_unknown(runs):
    trials = [runs.run({"width": w}, racing=Racing()) for w in (3, 2)]
    assert [t.state for t in trials] == ["stopped", "stopped"]
    assert runs.run({"width": 3}, racing=Racing()).state == "stopped"
    assert not runs.over()


def test_a_tuner_that_asks_for_each_point_once_more_ends(runs):
    for _ in range(3):
        for values in SPACE.points():
            if not runs.over():
                runs.run(values, racing=Racing())
    assert runs.over()
    assert runs.best().values == {"width": 3}


def test_a_point_given_up_within_a_training_begins_anew(runs, monkeypatch):
    """Its first fold was not finished: there is nothing to keep."""
    cut = Fit(0.885, 4, ((0.4, 0.885),), stopped=True)
    whole = runs.fits.fit
    monkeypatch.setattr(runs.fits, "fit", lambda v, f, w: cut if v["width"] == 3 and w is not None else whole(v, f, w))
    tpe(runs)
    given_up, finished = of(runs.trials(), 3)
    assert (given_up.epochs, finished.epochs, finished.folds) == (4, 30, SCORES[3])
