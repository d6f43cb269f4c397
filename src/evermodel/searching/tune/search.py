"""The search itself: points in, scored trials out, each point once, bad ones given up early."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel, BadSetting
from evermodel.core.model.search_space import Space, values_equal
from evermodel.core.model.trials import Racing
from evermodel.core.records.search_record import Trial, Values
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import PairedPredictions
from evermodel.searching.tune.study import Study, point_key
from evermodel.searching.tune.trial_fits import Fit, Fits, Watch, at_share

BY_CHANCE = 3.0  # standard errors on one fold: who trailed by less may be the best; then trained to its end
SAME_POINT = 3  # times in a row that a sampler may ask for a known point before we choose a neighbour


@dataclass
class SearchRuns:
    """A ``Search`` over one study. ``hear`` is told of each finished trial."""

    space: Space
    fits: Fits
    study: Study
    most: int
    seed: int = 0
    hear: Callable[[Trial], None] = lambda trial: None
    _first: dict[int, Array] = field(default_factory=dict)  # fold -> predictions of the first whole trial

    def over(self) -> bool:
        everything = self._everything_begun() and self._closest_given_up() is None
        return everything or self.fits.out_of_time() or self.study.count_started() >= self.most

    def trials(self) -> Sequence[Trial]:
        return self.study.trials()

    def find_finished(self, values: Values) -> Trial | None:
        """The finished trial of an equal point."""
        key = point_key(values)
        found = [t for t in self.trials() if t.state != "failed" and point_key(t.values) == key]
        return max(found, key=lambda t: (t.state == "whole", t.score)) if found else None

    def best(self) -> Trial | None:
        whole = [t for t in self.trials() if t.state == "whole"]
        return max(whole, key=lambda t: (t.score, -t.number)) if whole else None

    def run(self, values: Values, /, *, racing: Racing | None = None, note: str = "") -> Trial:
        """Trains and scores a point that a tuner chose; one that is known is told again and costs nothing.

        Where every point of the space was begun, one that was given up is trained to its end.
        """
        known = self.find_finished(values)
        taken_up = known is not None and known.state == "stopped" and self._everything_begun()
        if known is not None and not taken_up and (known.state == "whole" or racing is not None):
            return known
        if taken_up:
            racing, note = None, "taken up again"
        if values not in self.space:  # the deployed values may stand outside
            trial, curve = self._scored(values, racing, note)
            self.study.add(trial, curve)
            self.hear(trial)
            return trial
        return self._told(self.study.begin(values), values, racing, note)

    def step(self, sampler: Any, /, *, racing: Racing | None = None) -> Trial:
        """Trains and scores a point that an Optuna sampler chose, or a neighbour of the best where that is known.

        Where every point of the space was begun, those given up that trailed by no more than chance may explain are
        trained to their end, the closest first: on digits, 2 of 15 searches had given the best point up.
        """
        if (closest := self._closest_given_up()) is not None:
            return self.run(closest.values)
        for _ in range(SAME_POINT):
            asked, values = self.study.ask(sampler)
            known = self.find_finished(values)
            if known is None:
                return self._told(asked, values, racing, "")
            self.study.study.tell(asked, known.score)
        return self.run(self._neighbour(), racing=racing)

    def _everything_begun(self) -> bool:
        if self.space.size is None:
            return False
        inside = [
            t for t in self.trials() if t.state != "failed" and t.values in self.space
        ]  # what is deployed may not be
        return len({point_key(t.values) for t in inside}) >= self.space.size

    def _closest_given_up(self) -> Trial | None:
        """The point that trailed least when it was given up, within chance; none while points are unknown."""
        best, noise = self.best(), self.study.read_note("noise")
        if best is None or noise is None or not self._everything_begun():
            return None
        whole = {point_key(t.values) for t in self.trials() if t.state == "whole"}
        close = [
            t
            for t in self.trials()
            if t.state == "stopped"
            and point_key(t.values) not in whole
            and best.score - t.score <= BY_CHANCE * float(noise)
        ]
        return max(close, key=lambda t: (t.score, -t.number)) if close else None

    def _finished_folds(self, values: Values) -> list[Fit]:
        """What an equal point had finished before it was given up between two folds: the same rows score the same."""
        known = self.find_finished(values)
        if known is None or known.state != "stopped":
            return []
        curve = self.study.curve_of(known.number)
        if curve and curve[-1][0] < 1 - 1e-9:
            return []
        return [Fit(score, 0, curve if fold == 0 else ()) for fold, score in enumerate(known.folds)]

    def _told(self, asked: Any, values: Values, racing: Racing | None, note: str) -> Trial:
        trial, curve = self._scored(values, racing, note)
        trial = dataclasses.replace(trial, number=asked.number)
        self.study.finish(asked, trial, curve)
        self.hear(trial)
        return trial

    def _scored(self, values: Values, racing: Racing | None, note: str) -> tuple[Trial, Any]:
        began, fits = time.monotonic(), self._finished_folds(values)
        best = self.best()
        state: Any = "whole"
        try:
            for fold in range(len(fits), len(self.fits.folds)):
                watch = self._watch(best, racing) if fold == 0 else None
                fits.append(self.fits.fit(values, fold, watch))
                self._measure_noise(fold, fits[-1])
                if fits[-1].stopped or (racing is not None and self._behind(fits, best, racing)):
                    state = "stopped"
                    break
                if self.fits.out_of_time() and fold + 1 < len(self.fits.folds):
                    state, note = "failed", "out of time"
                    break
        except (BadModel, BadData, BadSetting) as error:
            state, note = "failed", error.message
        scores = [f.score for f in fits]
        score = float(np.mean(scores)) if scores else float("nan")
        if state == "stopped" and best is not None:
            score = best.score - self._gap(fits, best)
        if not math.isfinite(score):
            state, score, note = "failed", 0.0, note or "the score is not a number"
        epochs = sum(f.epochs for f in fits)
        trial = Trial(
            len(self.trials()), dict(values), score, state, tuple(scores), epochs, time.monotonic() - began, note
        )
        return trial, fits[0].curve if fits else ()

    def _watch(self, best: Trial | None, racing: Racing | None) -> Watch | None:
        """Gives a training up where it trails the best's curve by more than that one still gained, and the slack."""
        curve = self.study.curve_of(best.number) if best is not None else ()
        if racing is None or best is None or len(curve) < 2:
            return None
        last = curve[-1][1]

        def trails(share: float, score: float) -> bool:
            if share < racing.first - 1e-9:
                return False
            then = at_share(curve, share)
            return score < then - max(0.0, last - then) - racing.slack

        return trails

    def _behind(self, fits: list[Fit], best: Trial | None, racing: Racing) -> bool:
        """Whether the folds so far trail the best's by more than chance allows; never asked after the last."""
        if best is None or len(fits) >= len(self.fits.folds) or len(best.folds) < len(fits):
            return False
        noise = self.study.read_note("noise")
        gap = float(np.mean(best.folds[: len(fits)])) - float(np.mean([f.score for f in fits]))
        return noise is not None and gap > racing.sure * float(noise) / math.sqrt(len(fits))

    def _gap(self, fits: list[Fit], best: Trial) -> float:
        """How far a point that was given up trails the best on the same folds, or at the same share of the epochs.

        Folds differ: a score of the first fold alone would look better or worse than it is beside whole ones.
        """
        if fits[-1].stopped:
            share, score = fits[-1].curve[-1]
            return at_share(self.study.curve_of(best.number), share) - score
        return float(np.mean(best.folds[: len(fits)])) - float(np.mean([f.score for f in fits]))

    def _measure_noise(self, fold: int, fit: Fit) -> None:
        """The standard error of a difference between two points on one fold's rows, once, from the first two."""
        if fold != 0 or fit.predictions is None or self.study.read_note("noise") is not None:
            return
        if 0 not in self._first:
            self._first[0] = fit.predictions
            return
        valid = self.fits.folds[0].valid
        y = self.fits.base.target(valid)
        if self._first[0].shape != fit.predictions.shape or not len(y):
            return
        found = compare_predictions(
            self.fits.metric, PairedPredictions(y, self._first[0], fit.predictions)
        ).standard_error
        if math.isfinite(found) and found > 0:
            self.study.note("noise", found)

    def _neighbour(self) -> Values:
        """An unknown point close to the best one, drawn evenly among the closest."""
        random = np.random.default_rng(self.seed + self.study.count_started())
        best = self.best()
        start = dict(best.values) if best is not None else {}
        drawn = [_changed(self.space, start, random, changes) for changes in (1, 1, 1, 2, 2, 3) for _ in range(20)]
        unknown = next((v for v in drawn if self.find_finished(v) is None), None)
        if unknown is None and self.space.size is not None and self.space.size <= 100_000:
            unknown = next((v for v in self.space.points() if self.find_finished(v) is None), None)
        return unknown if unknown is not None else drawn[0]


def _changed(space: Space, start: Values, random: np.random.Generator, changes: int) -> dict[str, Any]:
    """The point with so many of its dimensions drawn anew, ordered choices and numbers a step away."""
    chosen = {d.name for d in random.permutation(np.array(list(space), dtype=object))[:changes]}
    found: dict[str, Any] = {}
    for d in space:
        now = start.get(d.name)
        if now is not None and now in d and d.name not in chosen:
            found[d.name] = now
        elif d.kind == "choice":
            at = next(
                (i for i, c in enumerate(d.choices) if now is not None and values_equal(c, now)),
                int(random.integers(len(d.choices))),
            )
            near = [c for i, c in enumerate(d.choices) if abs(i - at) <= 1] if now is not None else list(d.choices)
            found[d.name] = near[int(random.integers(len(near)))]
        else:
            ends = (math.log(d.low), math.log(d.high)) if d.log else (d.low, d.high)
            value = float(random.uniform(*ends))
            value = math.exp(value) if d.log else value
            found[d.name] = round(value) if d.kind == "int" else min(max(value, d.low), d.high)
    return found
