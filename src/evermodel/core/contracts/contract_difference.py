"""One way in which new rows differ from a contract: its kind, the data behind it, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["refuse", "migrate", "note"]
Kind = Literal[
    "missing",
    "new",
    "renamed",
    "reordered",
    "type",
    "unit",
    "categories",
    "spelling",
    "classes",
    "target",
    "range",
    "total",
]


@dataclass(frozen=True)
class DifferenceDetail:
    """The data behind a difference; which fields are set depends on its kind."""

    from_column: str = ""  # renamed: the column's name in the new rows
    candidates: tuple[str, ...] = ()  # missing, target: new columns whose values look like the missing one's
    dtype: str = ""  # type: the type in the new rows
    readable: float | None = None  # type: the share of values that can be read as the contract's type
    factor: float | None = None  # unit: new = factor * old + shift
    shift: float | None = None
    outside: float | None = None  # range: the share of rows outside of the reference range
    spellings: Mapping[str, str] = field(default_factory=dict)  # spelling: new -> known
    new_values: tuple[Any, ...] = ()  # categories, classes: those that came since
    rows: int = 0  # classes: rows of new classes
    counts: tuple[int, ...] = ()  # classes: rows of each of ``new_values``
    total: int = 0  # classes: rows with a label


@dataclass(frozen=True)
class Difference:
    """One way in which new rows differ from the contract, and what is done about it."""

    kind: Kind
    column: str
    action: Action
    text: str  # one sentence
    detail: DifferenceDetail = DifferenceDetail()
