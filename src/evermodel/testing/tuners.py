"""What every tuner must promise. ``check_tuner`` runs all checks; its error names the promise that is broken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.model.search_space import Dimension, Space
from evermodel.core.model.trials import Racing, Tuner
from evermodel.core.records.search_record import Trial, Values
from evermodel.testing.check_runner import check_docstring_has_an_example, check_function_signature, run_checks

Check = Callable[[Tuner], None]
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
    """A search whose trials are a function's values: free of charge, for checks and for trying a tuner out."""

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
        optuna_trial = self._study.ask()
        values = {d.name: _suggested(optuna_trial, d) for d in self.space}
        trial = self.run(values)
        self._study.tell(optuna_trial, trial.score)
        return trial


def _suggested(optuna_trial: Any, d: Dimension) -> Any:
    if d.kind == "choice":
        return optuna_trial.suggest_categorical(d.name, d.choices)
    if d.kind == "int":
        return optuna_trial.suggest_int(d.name, int(d.low), int(d.high), log=d.log)
    return optuna_trial.suggest_float(d.name, d.low, d.high, log=d.log)


def check_settings_are_typed(tuner: Tuner) -> None:
    """The search stands before the slash; every setting is keyword-only, typed and has a default."""
    check_function_signature(tuner, positional=1)


def check_docstring(tuner: Tuner) -> None:
    """The docstring says what the tuner does and shows a command that uses it."""
    check_docstring_has_an_example(tuner)


def check_ends_with_the_search(tuner: Tuner) -> None:
    """It runs no trial once the search is over, and returns."""
    search = FunctionSearch(SPACE, hill, most=7)
    tuner(search)
    assert len(search.done) == 7, f"{len(search.done)} trials were run instead of 7"


def check_points_are_in_the_space(tuner: Tuner) -> None:
    """Every point that it runs lies in the space."""
    search = FunctionSearch(SPACE, hill)
    tuner(search)
    assert search.done, "no trial was run"
    outside = [trial.values for trial in search.done if trial.values not in SPACE]
    assert not outside, f"{outside[0]} is not in the space"


def check_same_seed_same_trials(tuner: Tuner) -> None:
    """The same seed runs the same points in the same order."""
    one, two = FunctionSearch(SPACE, hill, seed=3), FunctionSearch(SPACE, hill, seed=3)
    tuner(one)
    tuner(two)
    assert [t.values for t in one.done] == [t.values for t in two.done], "other points were run the second time"


def check_finds_the_top_of_an_easy_hill(tuner: Tuner) -> None:
    """On a smooth hill its best of 40 trials is within a tenth of the top, with each of five seeds."""
    for seed in range(5):
        search = FunctionSearch(SPACE, hill, seed=seed)
        tuner(search)
        best = max(trial.score for trial in search.done)
        assert best > 0.9, f"the best of {len(search.done)} trials scores {best:.3f} with the seed {seed}; the top is 1"


CHECKS: tuple[Check, ...] = (
    check_settings_are_typed,
    check_docstring,
    check_ends_with_the_search,
    check_points_are_in_the_space,
    check_same_seed_same_trials,
    check_finds_the_top_of_an_easy_hill,
)


def check_tuner(tuner: Tuner) -> int:
    """Runs every check on a tuner's function; returns how many ran. Raises AssertionError naming the broken promise."""
    return run_checks(CHECKS, "tuner", tuner.__name__, tuner)
