"""What a fitted scikit-learn pipeline says about its raw input columns: texts, categories and their tables."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel

ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
VECTORIZERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
IMPUTERS = ("SimpleImputer",)
# Estimators that hand their columns on as they are: to one inside, or to several.
INNER = {
    "TransformedTargetRegressor": "regressor_",
    "FixedThresholdClassifier": "estimator_",
    "SelfTrainingClassifier": "estimator_",
}
SEVERAL = ("VotingClassifier", "VotingRegressor", "StackingClassifier", "StackingRegressor")
KEEPS_COLUMNS = ("FunctionTransformer", "StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler")


@dataclass(frozen=True)
class FittedColumn:
    """One raw input column as the pipeline was fitted on it."""

    kind: Literal["number", "boolean", "category", "text"]
    categories: tuple[Any, ...] = ()  # the encoder's own values, missing ones left out
    refuses_unknown: bool = False  # transform raises for a value that is not among the categories
    is_dtype: bool = False  # the column must have the dtype "category" (histogram gradient boosting)


def last_step(obj: Any) -> Any:
    """The last step of a pipeline; any other estimator itself."""
    return obj.steps[-1][1] if hasattr(obj, "steps") else obj


def find_columns(obj: Any) -> dict[int, FittedColumn]:
    """Position of an input column -> what the object says of it; columns of plain numbers are left out.

    Raises BadModel for categories that cleaned rows cannot tell apart.
    """
    return walk_steps(obj).columns


@dataclass
class Walked:
    """What the steps of a fitted pipeline say, by the position of the raw column."""

    columns: dict[int, FittedColumn] = field(default_factory=dict)
    encoders: list[tuple[Any, list[int]]] = field(default_factory=list)  # each with the raw columns that it encodes
    fills: dict[int, Any] = field(default_factory=dict)  # imputed before they are encoded; the constant, else None


def walk_steps(obj: Any) -> Walked:
    """Follows the raw columns through the steps of ``obj`` as far as each step's output still has them one by one."""
    width = getattr(obj, "n_features_in_", None)
    walked = Walked()
    _walk(obj, list(range(int(width) if width is not None else 1)), walked)
    return walked


def text_of(category: Any) -> str:
    """A category in the spelling that cleaned rows have: without blanks around it, 1 for 1.0."""
    if isinstance(category, (bool, np.bool_)):
        return "true" if category else "false"
    if isinstance(category, (float, np.floating)) and float(category).is_integer():
        return str(int(category))
    return str(category).strip()


def tolerate_unknown(obj: Any) -> Any:
    """A shallow copy whose encoders take an unknown value for none of the known ones instead of raising."""
    return _rebuild(obj, _make_tolerant)


def _walk(step: Any, columns: list[int] | None, walked: Walked) -> list[int] | None:
    """Notes what ``step`` says of the raw columns it is given; returns them where its output still has them."""
    kind = type(step).__name__
    if columns is None or isinstance(step, str) or step is None:
        return columns
    if kind == "Pipeline":
        for _, inner in step.steps:
            columns = _walk(inner, columns, walked)
        return columns
    if kind == "ColumnTransformer":
        for _, inner, selected in step.transformers_:
            _walk(inner, [columns[at] for at in resolve_columns(step, selected)], walked)
        return None
    if kind == "FeatureUnion":
        for _, inner in step.transformer_list:
            _walk(inner, columns, walked)
        return None
    if kind in VECTORIZERS:
        walked.columns[columns[0]] = FittedColumn("text")
        return None
    if kind in ENCODERS and hasattr(step, "categories_"):
        refuses = getattr(step, "handle_unknown", "") == "error"
        for at, categories in zip(columns, step.categories_, strict=False):
            walked.columns[at] = _describe_categories(categories, refuses=refuses)
        walked.encoders.append((step, columns))
        return None
    if kind in IMPUTERS:
        return _walk_imputer(step, columns, walked)
    if getattr(step, "_preprocessor", None) is not None and hasattr(step, "is_categorical_"):
        _walk_histograms(step, columns, walked)
        return None
    for inner in _list_inner(step):
        _walk(inner, columns, walked)
    return columns if kind in KEEPS_COLUMNS else None


def _walk_imputer(step: Any, columns: list[int], walked: Walked) -> list[int] | None:
    statistics = getattr(step, "statistics_", None)
    if statistics is None or len(statistics) != len(columns) or step.add_indicator:
        return None
    words = np.asarray(statistics).dtype == object
    for at, value in zip(columns, statistics, strict=True):
        if words and isinstance(value, str):
            walked.columns.setdefault(at, FittedColumn("category"))
        walked.fills[at] = value if step.strategy == "constant" else None
    return columns


def _walk_histograms(step: Any, columns: list[int], walked: Walked) -> None:
    """The columns of dtype "category" of histogram gradient boosting, with the tables of its own encoder."""
    encoder = step._preprocessor.named_transformers_["encoder"]
    places = np.flatnonzero(np.asarray(step.is_categorical_, dtype=bool))
    by_dtype = step.categorical_features == "from_dtype"
    for at, categories in zip(places, encoder.categories_, strict=True):
        column = _describe_categories(categories, refuses=False)
        walked.columns[columns[at]] = replace(column, is_dtype=by_dtype)


def _list_inner(step: Any) -> list[Any]:
    """Fitted estimators that are handed the same columns as ``step`` itself: of searches, votes and calibrations."""
    kind = type(step).__name__
    if kind in INNER:
        return [getattr(step, INNER[kind])]
    if hasattr(step, "calibrated_classifiers_"):
        return [part.estimator for part in step.calibrated_classifiers_[:1]]
    if kind in SEVERAL:
        return [inner for inner in step.estimators_ if not isinstance(inner, str)]
    return []


def resolve_columns(transformer: Any, selected: Any) -> list[int]:
    """The positions that a ColumnTransformer's list, slice, mask, name or fitted selection stands for."""
    names = list(getattr(transformer, "feature_names_in_", ()))
    width = int(getattr(transformer, "n_features_in_", len(names)))
    if isinstance(selected, str):
        return [names.index(selected)]
    if isinstance(selected, slice):
        if isinstance(selected.start, str) or isinstance(selected.stop, str):
            start = names.index(selected.start) if selected.start is not None else 0
            stop = names.index(selected.stop) + 1 if selected.stop is not None else width
            return list(range(start, stop))
        return list(range(width))[selected]
    if np.ndim(selected) == 0:
        return [int(selected) % width]
    values = list(selected)
    if values and isinstance(values[0], (bool, np.bool_)):
        return [at for at, taken in enumerate(values) if taken]
    return [names.index(v) if isinstance(v, str) else int(v) % width for v in values]


def _describe_categories(categories: Array, *, refuses: bool) -> FittedColumn:
    values = [v for v in np.asarray(categories).tolist() if v is not None and v == v]
    if values and all(isinstance(v, bool) for v in values):
        return FittedColumn("boolean")
    if all(isinstance(v, (int, float)) for v in values):
        return FittedColumn("number", tuple(values), refuses)
    if not all(isinstance(v, str) for v in values):
        raise BadModel(
            f"An encoder of the model knows words and numbers in one column: {values[:5]}.",
            "Turn the column into text before training, for example with astype(str).",
        )
    texts: dict[str, Any] = {}
    for value in values:
        other = texts.setdefault(text_of(value), value)
        if other != value:
            raise BadModel(
                f"An encoder of the model knows {other!r} and {value!r} as two categories.",
                "They differ by blanks alone and cannot be told apart. Clean the column before training.",
            )
    return FittedColumn("category", tuple(values), refuses)


def _make_tolerant(encoder: Any) -> Any:
    if getattr(encoder, "handle_unknown", "") != "error":
        return encoder
    copied = copy.copy(encoder)
    if type(encoder).__name__ == "OneHotEncoder":
        copied.handle_unknown = "ignore"
    elif type(encoder).__name__ == "OrdinalEncoder":
        copied.handle_unknown, copied.unknown_value = "use_encoded_value", -1
    else:
        copied.handle_unknown = "ignore"
    return copied


def _rebuild(step: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of the containers down to the encoders, each of which ``change`` replaces; all else is shared."""
    kind = type(step).__name__
    if kind in ENCODERS:
        return change(step)
    copied = copy.copy(step) if hasattr(step, "__dict__") else step
    if kind == "Pipeline":
        copied.steps = [(name, _rebuild(inner, change)) for name, inner in step.steps]
    elif kind == "ColumnTransformer":
        copied.transformers_ = [(n, _rebuild(inner, change), selected) for n, inner, selected in step.transformers_]
    elif kind == "FeatureUnion":
        copied.transformer_list = [(name, _rebuild(inner, change)) for name, inner in step.transformer_list]
    elif kind in SEVERAL:
        copied.estimators_ = _rebuild_all(step.estimators_, change)
    elif hasattr(step, "calibrated_classifiers_"):
        parts = [copy.copy(part) for part in step.calibrated_classifiers_]
        for part in parts:
            part.estimator = _rebuild(part.estimator, change)
        copied.calibrated_classifiers_ = parts
    elif kind in INNER:
        setattr(copied, INNER[kind], _rebuild(getattr(step, INNER[kind]), change))
    return copied


def _rebuild_all(steps: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
    return [_rebuild(inner, change) for inner in steps]
