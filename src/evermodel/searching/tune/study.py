"""A search's trials, kept in Optuna's journal beside the store: nothing that was finished is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core.errors import MissingExtra
from evermodel.core.model.search_space import Dimension, Space
from evermodel.core.process_owner import is_gone, owner
from evermodel.core.records.search_record import Trial, Value, Values


def point_key(values: Values) -> str:
    """The same for equal points, whichever way their numbers are written."""
    number = {k: isinstance(v, (int, float)) and not isinstance(v, bool) for k, v in values.items()}
    plain = {k: float(f"{v:.9g}") if number[k] else v for k, v in values.items()}
    return json.dumps(plain, sort_keys=True)


class Study:
    """Trials by their points. Several processes may work on one study; each sees what the others finished."""

    def __init__(self, journal: Path, name: str, space: Space) -> None:
        optuna = _optuna()
        self.space, self.name = space, name
        journal.parent.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.journal.JournalFileBackend(str(journal))
        self.storage = optuna.storages.JournalStorage(backend)
        self.study = optuna.create_study(
            storage=self.storage, study_name=name, direction="maximize", load_if_exists=True
        )
        self._fail_orphans()

    # -- trials -----------------------------------------------------------------------------------------------------
    def trials(self) -> list[Trial]:
        """Finished trials, oldest first."""
        return [_trial(t) for t in self._frozen() if "trial" in t.user_attrs]

    def count_started(self) -> int:
        """How many points were begun, by any process: those finished, and those that a living process trains."""
        return sum(1 for t in self._frozen() if "trial" in t.user_attrs or _in_training(t))

    def curve_of(self, number: int) -> tuple[tuple[float, float], ...]:
        """The first fold's learning curve of a trial, empty where it has none."""
        found = next((t for t in self._frozen() if t.number == number), None)
        return tuple(map(tuple, found.user_attrs.get("curve", ()))) if found else ()

    def ask(self, sampler: Any) -> tuple[Any, dict[str, Value]]:
        """A trial of a point that the sampler chose."""
        self.study.sampler = sampler
        asked = self.study.ask({d.name: distribution(d) for d in self.space})
        asked.set_user_attr("owner", owner())
        return asked, {d.name: _value(d, asked.params[d.name]) for d in self.space}

    def begin(self, values: Values) -> Any:
        """A trial of a point that we chose."""
        self.study.enqueue_trial({d.name: _index(d, values[d.name]) for d in self.space})
        return self.ask(self.study.sampler)[0]

    def finish(self, asked: Any, trial: Trial, curve: Any = ()) -> None:
        """Writes a trial down: what it scored, and as what. One record of the journal, whole or not at all."""
        asked.set_user_attr("curve", [list(p) for p in curve])
        asked.set_user_attr("trial", _written(trial))
        self.study.tell(asked, None if trial.state == "failed" else trial.score, **_state(trial))

    def add(self, trial: Trial, curve: Any = ()) -> None:
        """A finished trial of a point outside the space."""
        optuna = _optuna()
        inside = trial.values in self.space
        distributions = {d.name: distribution(d) for d in self.space} if inside else {}
        params = {d.name: _index(d, trial.values[d.name]) for d in self.space} if inside else {}
        state = getattr(optuna.trial.TrialState, "FAIL" if trial.state == "failed" else "COMPLETE")
        value = None if trial.state == "failed" else trial.score
        frozen = optuna.trial.create_trial(
            state=state,
            value=value,
            params=params,
            distributions=distributions,
            user_attrs={"trial": _written(trial), "curve": [list(p) for p in curve]},
        )
        self.study.add_trial(frozen)

    # -- what else is remembered -------------------------------------------------------------------------------------
    def note(self, key: str, value: Any) -> None:
        self.study.set_user_attr(key, value)

    def read_note(self, key: str) -> Any:
        return self.study.user_attrs.get(key)

    def earlier(self) -> list[tuple[float, dict[str, Any]]]:
        """Other searches of this journal that ended, newest first: when, and their user attributes."""
        others = [s for s in _optuna().get_all_study_summaries(self.storage) if s.study_name != self.name]
        found = [(float(s.user_attrs["ended"]), dict(s.user_attrs)) for s in others if "ended" in s.user_attrs]
        return sorted(found, key=lambda pair: -pair[0])

    def importances(self) -> dict[str, float]:
        """How much of the score's variance each hyperparameter explains (fANOVA); empty where it cannot be said."""
        optuna = _optuna()
        whole = [t for t in self._frozen() if t.state.name == "COMPLETE" and t.params]
        if len(whole) < 8 or len({t.value for t in whole}) < 2:
            return {}
        try:
            seen = optuna.create_study(direction="maximize")
            seen.add_trials(
                [
                    optuna.trial.create_trial(value=t.value, params=t.params, distributions=t.distributions)
                    for t in whole
                ]
            )
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            return dict(optuna.importance.get_param_importances(seen, evaluator=evaluator))
        except (ImportError, ValueError, RuntimeError):
            return {}

    def _frozen(self) -> list[Any]:
        return list(self.study.get_trials(deepcopy=False))

    def _fail_orphans(self) -> None:
        """Trials whose process died in the middle count as failed; their points may be tried again."""
        for t in self._frozen():
            if t.state.name == "RUNNING" and _abandoned(t.user_attrs.get("owner", "")):
                self.study.tell(t.number, state=_optuna().trial.TrialState.FAIL)


def distribution(d: Dimension) -> Any:
    """The dimension as Optuna has it; choices that are numbers keep their order, as their places."""
    from optuna import distributions as known

    if d.kind == "float":
        return known.FloatDistribution(d.low, d.high, log=d.log)
    if d.kind == "int":
        return known.IntDistribution(int(d.low), int(d.high), log=d.log)
    return known.IntDistribution(0, len(d.choices) - 1) if _ordered(d) else known.CategoricalDistribution(d.choices)


def _ordered(d: Dimension) -> bool:
    numbers = all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in d.choices)
    return d.kind == "choice" and numbers and list(d.choices) == sorted(d.choices)


def _value(d: Dimension, given: Any) -> Value:
    return d.choices[int(given)] if _ordered(d) else given


def _index(d: Dimension, value: Value) -> Any:
    if _ordered(d):
        return next(i for i, c in enumerate(d.choices) if c == value)
    return int(value) if d.kind == "int" else value


def _written(trial: Trial) -> dict[str, Any]:
    return {
        "values": dict(trial.values),
        "score": trial.score,
        "state": trial.state,
        "folds": list(trial.folds),
        "epochs": trial.epochs,
        "seconds": trial.seconds,
        "note": trial.note,
    }


def _trial(frozen: Any) -> Trial:
    raw: Mapping[str, Any] = frozen.user_attrs["trial"]
    return Trial(frozen.number, **{**raw, "folds": tuple(raw["folds"])})


def _state(trial: Trial) -> dict[str, Any]:
    return {"state": _optuna().trial.TrialState.FAIL} if trial.state == "failed" else {}


def _in_training(frozen: Any) -> bool:
    """By a process that lives: what one that was killed had begun is begun again by another.

    One without an owner was just asked for, or its process was killed right then: it would stay begun for ever.
    """
    said = frozen.user_attrs.get("owner", "")
    return frozen.state.name == "RUNNING" and bool(said) and not is_gone(said)


def _abandoned(said: str) -> bool:
    """A trial whose process is gone; of our own name too: a study is opened before it begins a trial."""
    return not said or said == owner() or is_gone(said)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtra.for_package("optuna", "tune", "A search over hyperparameters") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
