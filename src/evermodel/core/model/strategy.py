"""What a strategy is: a function from parent models and rows to a new model. Pruners and fusers have the same form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.model.training import Training, ignore_epoch
from evermodel.core.plugins import FunctionKind
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.settings import read_settings


@dataclass(frozen=True)
class Split:
    """The rows that a strategy may use. The rows on which its model will be judged are never among them."""

    new_rows: Table  # the rows of this update, oldest first
    replay_rows: Table | None = None  # rows remembered from earlier updates, oldest first
    tuning_rows: Table | None = None  # rows to choose by, to stop the training early for example; never trained on
    watched_rows: Table | None = None  # rows whose loss is only shown for each epoch: nothing may be chosen by them

    @property
    def shown_rows(self) -> Table | None:
        """The rows that a training shows its loss on: those to choose by, else those that are only watched."""
        return self.watched_rows if self.tuning_rows is None or not len(self.tuning_rows) else self.tuning_rows


@dataclass(frozen=True)
class Context:
    """What a strategy is given besides rows: a seed, a deadline, who hears of epochs, and a way to other strategies."""

    seed: int = 0
    deadline: float | None = None  # in the seconds of time.monotonic()
    on_epoch: Callable[[Epoch], None] = ignore_epoch

    def training(self, model: Model, shown_rows: Table | None, **options: Any) -> Training:
        """The Training with this context's seed, deadline and listener; ``options`` set its other fields."""
        validation = None
        if shown_rows is not None and len(shown_rows):
            validation = (model.transform(shown_rows.frame), model.raw_target(shown_rows))
        return Training(
            validation=validation, deadline=self.deadline, seed=self.seed, on_epoch=self.on_epoch, **options
        )

    def run_strategy(self, name: str, parents: Sequence[Model], data: Split, /, **settings: Any) -> Model:
        """Runs another strategy by its name. Raises BadSetting for a setting it does not have."""
        return self.run_plugin(STRATEGIES, name, parents, data, **settings)

    def run_plugin(
        self, kind: FunctionKind[Strategy, Any], name: str, parents: Sequence[Model], data: Split, /, **settings: Any
    ) -> Model:
        """Runs a plugin of the kind: a strategy, a pruner or a fuser. Raises BadSetting for a setting it lacks."""
        plugin = kind.load(name)
        return plugin(parents, data, self, **read_settings(plugin, settings))


class Strategy(Protocol):
    """The function of a strategy, a pruner or a fuser: a new model from parents and rows; parents are left untouched.

    The first parent is the champion. Deterministic given ``context.seed``. Its settings are its keyword-only
    parameters, each with a type and a default. Raises NoData where it needs rows that are not there, BadSetting where
    the parents' framework lacks an ability it needs.
    """

    __name__: str

    def __call__(self, parents: Sequence[Model], data: Split, context: Context, /, **settings: Any) -> Model: ...


STRATEGIES: FunctionKind[Strategy, ModuleType] = FunctionKind("strategies", ModuleType)
PRUNERS: FunctionKind[Strategy, ModuleType] = FunctionKind("pruners", ModuleType)
FUSERS: FunctionKind[Strategy, ModuleType] = FunctionKind("fusers", ModuleType)


@runtime_checkable
class AncestorFuser(Protocol):
    """A fuser's module that needs, before the models to fuse, the model that all of them were trained from."""

    NEEDS_ANCESTOR: bool


@runtime_checkable
class SizeSaver(Protocol):
    """A pruner's module whose result is smaller, and not faster."""

    SAVES_SIZE: bool


@runtime_checkable
class CompressedSizeSaver(Protocol):
    """A pruner's module whose result is smaller only once its file is compressed: zeros among the weights."""

    SAVES_WHEN_COMPRESSED: bool
