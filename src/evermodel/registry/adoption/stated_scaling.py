"""A scaling that the user states by its name, with functions of columns: ``standard,log1p:amount,log1p:income``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.model.transform import Scaling
from evermodel.core.model.value_transforms import ValueTransform

KINDS = tuple(kind for kind in get_args(Scaling) if kind != "given")


@dataclass(frozen=True)
class StatedScaling:
    """The kind of scaling of the numbers, and what is taken of some columns before it."""

    kind: Scaling
    functions: Mapping[str, ValueTransform]


def is_scaling(said: Any) -> bool:
    """Whether what was said as `transform` names a scaling, and not a file."""
    return isinstance(said, str) and said.partition(",")[0].strip() in KINDS


def parse_scaling(said: str, names: Sequence[str] | None = None) -> StatedScaling:
    """The scaling that the words state, of a model with input columns ``names``; None: they are not known yet.

    Raises BadSetting for a function that is not known, NotFound, with the nearest name, for a column that is no input.
    """
    kind, *rest = (part.strip() for part in said.split(","))
    functions: dict[str, ValueTransform] = {}
    for part in rest:
        function, colon, column = part.partition(":")
        if not colon or not column or function not in get_args(ValueTransform):
            known = ", ".join(name for name in get_args(ValueTransform) if name != "none")
            raise BadSetting(
                f"`transform` takes FUNCTION:COLUMN behind the scaling, with a function of {known}. Got {part!r}.",
                "For example standard,log1p:amount.",
            )
        if names is not None and column not in names:
            raise NotFound.among("input column", column, names)
        functions[column] = cast(ValueTransform, function)
    return StatedScaling(cast(Scaling, kind), functions)
