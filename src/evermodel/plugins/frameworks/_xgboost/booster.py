"""An XGBoost booster as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evermodel.core.errors import BadModel, MissingExtra
from evermodel.plugins.frameworks._xgboost.native_predictor import Predictor

EXTRA = "boost"


@dataclass(frozen=True)
class Boosted:
    """A booster with what its native file cannot hold: how it was trained, labels, the length of a fresh training.

    ``rounds`` stays what it was at adoption while trees are added or put side by side: a refit must not grow with them.
    """

    live: Any  # xgboost.Booster; None while only predictions were asked for
    recipe: Mapping[str, str]
    tables: tuple[tuple[Any, ...], ...]  # categories behind the codes, if the model was trained on a frame
    classes: tuple[Any, ...] | None
    groups: int
    rounds: int
    parts: tuple[tuple[int, float], ...] = ()  # (rounds, share) of what was put side by side

    raw: bytes = b""  # its file, where ``live`` is None
    predictor: Predictor | None = None  # stands in for ``live`` where that is None

    @cached_property
    def booster(self) -> Any:
        """The ``xgboost.Booster``, for all but predictions: the package imports scikit-learn, SciPy and pandas."""
        return load_booster(self.raw) if self.live is None else self.live

    @property
    def width(self) -> int:
        return int(self.booster.num_features()) if self.predictor is None else self.predictor.width

    @property
    def feature_names(self) -> list[str]:
        """The names of its columns; [] where it has none."""
        return list(self.booster.feature_names or ()) if self.predictor is None else self.predictor.feature_names


def load_booster(raw: bytes) -> Any:
    """The ``xgboost.Booster`` of a model file. Raises BadModel, MissingExtra."""
    xgboost = library()
    try:
        return xgboost.Booster(model_file=bytearray(raw))
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise BadModel(f"XGBoost cannot read the model ({first_line(error)}).") from None


def first_line(error: Exception) -> str:
    """Of XGBoost's message, which goes on with where in its code that was."""
    return str(error).split("\n", 1)[0][:300]


def library() -> Any:
    """The package ``xgboost``. Raises MissingExtra."""
    try:
        import xgboost
    except ImportError:
        raise MissingExtra.for_package("xgboost", EXTRA, "An XGBoost model") from None
    return xgboost
