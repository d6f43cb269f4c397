"""What a team did to the target of a regression, or to a column of numbers, before training, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast, get_args

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadSetting

ValueTransform = Literal["none", "log1p", "log", "log2", "log10", "sqrt", "square", "cbrt"]

LARGEST_EXPONENT = 700.0  # beyond it e**x is no number any more
FORWARD: dict[str, Callable[[Array], Array]] = {
    "none": np.asarray,
    "log1p": np.log1p,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "square": np.square,
    "cbrt": np.cbrt,
}
_BACKWARD: dict[str, Callable[[Array], Array]] = {
    "none": np.asarray,
    "log1p": lambda z: np.expm1(np.minimum(z, LARGEST_EXPONENT)),
    "log": lambda z: np.exp(np.minimum(z, LARGEST_EXPONENT)),
    "log2": lambda z: np.exp2(np.minimum(z, LARGEST_EXPONENT)),
    "log10": lambda z: 10.0 ** np.minimum(z, LARGEST_EXPONENT / 3),
    "sqrt": lambda z: np.square(np.maximum(z, 0.0)),
    "square": lambda z: np.sqrt(np.maximum(z, 0.0)),
    "cbrt": lambda z: z**3,
}
# The least value that each can take; the target of another row cannot be learned from.
_LEAST = {"log1p": -1.0, "log": 0.0, "log2": 0.0, "log10": 0.0, "sqrt": 0.0, "square": 0.0}
_OPEN = ("log1p", "log", "log2", "log10")  # whose least value itself is excluded


def parse_target_transform(text: str) -> ValueTransform:
    """The transform of that name. Raises BadSetting, listing those there are."""
    if text in get_args(ValueTransform):
        return cast(ValueTransform, text)
    known = ", ".join(get_args(ValueTransform))
    raise BadSetting(f"`target_transform` must be one of {known}. Got {text!r}.")


def accepts_target(kind: ValueTransform, y: Array) -> bool:
    """Whether every value of ``y`` can be transformed: a logarithm needs values above 0."""
    least = _LEAST.get(kind)
    if least is None or not len(y):
        return True
    return bool((y > least).all() if kind in _OPEN else (y >= least).all())


def transform_target(kind: ValueTransform, y: Array) -> Array:
    """The target (n,) as the model was trained on it. Raises BadData for a value that has no such transform."""
    if not accepts_target(kind, y):
        raise BadData(
            f"The model was trained on {kind} of the target, and a target of {float(np.min(y)):.6g} has none.",
            "Drop such rows, or correct them.",
        )
    return np.asarray(FORWARD[kind](np.asarray(y, dtype=np.float64)), dtype=np.float64)


def invert_target(kind: ValueTransform, z: Array) -> Array:
    """Answers of a model that was trained on the transformed target, in the target's own units."""
    return np.asarray(_BACKWARD[kind](z), dtype=np.float64)


def transform_column(kind: ValueTransform, values: Array, column: str) -> Array:
    """A column's values (n,) as the model takes them; NaN stays NaN.

    Raises BadData where a value has no such transform, as the logarithm of -3: the model has no answer to that row.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = FORWARD[kind](values)
    wrong = ~np.isfinite(found) & ~np.isnan(values)
    if wrong.any():
        raise BadData(
            f"{column!r} holds the value {values[wrong][0]:g} in {int(wrong.sum()):,} of {len(values):,} rows; the "
            f"model takes its {kind} there, which does not exist.",
            "Leave these rows out, or correct them: the model has no answer to them.",
        )
    return np.asarray(found)
