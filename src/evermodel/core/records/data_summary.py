"""What is kept about the rows of an adoption or an update: counts, what cleaning did, how they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ColumnCleaning:
    """What cleaning did to one column, in rows."""

    column: str
    converted: int = 0  # text that was read as a number
    trimmed: int = 0  # blanks around a value taken away
    unreadable: int = 0  # no number could be read: now missing
    infinite: int = 0  # now missing
    impossible: int = 0  # a stand-in such as -999, or more than a float32 holds: now missing
    missing: int = 0  # missing after cleaning


@dataclass(frozen=True)
class CleaningSummary:
    """What cleaning did to all rows. ``columns`` lists those to which something was done."""

    rows: int = 0  # that are left
    rows_read: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)  # reason -> rows
    columns: tuple[ColumnCleaning, ...] = ()
    notes: tuple[str, ...] = ()
    classes: Mapping[str, int] = field(default_factory=dict)  # class (as text) -> rows; empty for a regression


@dataclass(frozen=True)
class ContractDifference:
    """One way in which new rows differed from the contract, and what was done about it."""

    kind: str  # "missing", "unit", "categories", …
    column: str
    action: str  # "refuse" (accepted by hand), "migrate", "note"
    text: str  # one sentence


@dataclass(frozen=True)
class DataSummary:
    """The rows of one update."""

    source: str = ""
    rows: int = 0  # used, after cleaning and without those known before
    judged: int = 0  # of them, that judged
    known_before: int = 0  # left out: they were remembered already
    replayed: int = 0  # rows remembered from before that could be trained on
    cleaning: CleaningSummary | None = None  # None: no new rows came
    differences: tuple[ContractDifference, ...] = ()
