"""What every tuner in ``tuners/`` must obey. A plug author runs ``check_tuner(tuner)``.

Each law is a function whose docstring is the law; it raises AssertionError with the docstring where it is broken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.searching import Racing, Trial
from evermodel.core.space import Dimension, Space, Values

Law = Callable[[Any], None]
SPACE = Space(
    (
        Dimension("rate", "float", 0.001, 1.0, log=True),
        Dimension("width", "int", 1, 9),
        Dimension("kind", "choice", choices=("a", "b")),
    )
)
MOST = 40


def hill(values: Values) -> float:
    """Highest, 1, at rate .03, width 5, kind "b"."""
    rate, width = math.log10(float(values["rate"]) / 0.03), (int(values["width"]) - 5) / 4
    return 1.0 - 0.1 * rate**2 - 0.1 * width**2 - (0.0 if values["kind"] == "b" else 0.1)


@dataclass
class FunctionSearch:
    """A search whose trials are a function's values: free of charge, for laws and for trying a tuner out."""

    space: Space
    score: Callable[[Values], float]
    most: int = MOST
    seed: int = 0
    done: list[Trial] = field(default_factory=list)
    _study: Any = None

    def over(self) -> bool:
        return len(self.done) >= self.most

    def trials(self) -> Sequence[Trial]:
        return tuple(self.done)

    def run(self, values: Values, /, *, racing: Racing | None = None) -> Trial:
        self.done.append(Trial(len(self.done), dict(values), self.score(values), "whole", epochs=1))
        return self.done[-1]

    def step(self, sampler: Any, /, *, racing: Racing | None = None) -> Trial:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if self._study is None:
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        asked = self._study.ask()
        values = {d.name: _suggested(asked, d) for d in self.space}
        trial = self.run(values)
        self._study.tell(asked, trial.score)
        return trial


def _suggested(asked: Any, d: Dimension) -> Any:
    if d.kind == "choice":
        return asked.suggest_categorical(d.name, d.choices)
    if d.kind == "int":
        return asked.suggest_int(d.name, int(d.low), int(d.high), log=d.log)
    return asked.suggest_float(d.name, d.low, d.high, log=d.log)


def it_ends_when_the_search_is_over(tuner: Any) -> None:
    """It runs no trial once the search is over, and returns."""
    search = FunctionSearch(SPACE, hill, most=7)
    tuner(search)
    _hold(len(search.done) == 7, it_ends_when_the_search_is_over)


def every_point_is_of_the_space(tuner: Any) -> None:
    """Every point that it runs lies in the space."""
    search = FunctionSearch(SPACE, hill)
    tuner(search)
    _hold(bool(search.done) and all(t.values in SPACE for t in search.done), every_point_is_of_the_space)


def same_seed_same_trials(tuner: Any) -> None:
    """The same seed asks the same points in the same order; nothing else is drawn from."""
    one, two = FunctionSearch(SPACE, hill, seed=3), FunctionSearch(SPACE, hill, seed=3)
    tuner(one)
    tuner(two)
    _hold([t.values for t in one.done] == [t.values for t in two.done], same_seed_same_trials)


def it_climbs_an_easy_hill(tuner: Any) -> None:
    """On a smooth hill its best of 40 trials is within a tenth of the top, with each of five seeds."""
    for seed in range(5):
        search = FunctionSearch(SPACE, hill, seed=seed)
        tuner(search)
        _hold(max(t.score for t in search.done) > 0.9, it_climbs_an_easy_hill)


LAWS: tuple[Law, ...] = (
    it_ends_when_the_search_is_over, every_point_is_of_the_space, same_seed_same_trials, it_climbs_an_easy_hill,
)  # fmt: skip


def check_tuner(tuner: Any) -> None:
    """All laws, on one tuner. Raises AssertionError naming the law that is broken."""
    for law in LAWS:
        law(tuner)


def _hold(kept: bool, law: Any) -> None:
    if not kept:
        raise AssertionError(f"{law.__name__}: {law.__doc__}")
