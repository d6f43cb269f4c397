"""What a model takes and gives, by name, and how the rows are written that it reads: kept with each version."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]
WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
AUTO = "auto"  # a statement that says: as the first lines of the table tell


@dataclass(frozen=True)
class ListLayout:
    """How the lists of a column become ``length`` places: shorter ones are filled with ``pad`` on ``pad_side``.

    Longer ones lose what is too much on ``cut_side``; None: they are refused.
    """

    column: str
    length: int
    pad: float
    pad_side: Side
    cut_side: Side | None = None

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(f"{self.column}[{at}]" for at in range(self.length))

    def lay_out(self, values: Sequence[float | None]) -> list[float | None]:
        """One list as its places; a list that is too long, where none may be cut, is given back as it is."""
        kept = list(values)
        if len(kept) > self.length and self.cut_side is not None:
            kept = kept[: self.length] if self.cut_side == "right" else kept[-self.length :]
        fill: list[float | None] = [self.pad] * (self.length - len(kept))
        return [*fill, *kept] if self.pad_side == "left" else [*kept, *fill]


@dataclass(frozen=True)
class TableDialect:
    """How text tables are written; "" is as their first lines tell. ``header`` names the columns of tables without one.

    A table whose first line holds one of these names has a header, and is read by it.
    """

    header: str = ""
    separator: str = ""
    decimal: str = ""
    encoding: str = ""

    @property
    def stated(self) -> dict[str, str]:
        """What is said, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value}

    def change(self, other: TableDialect) -> TableDialect:
        """This dialect, but as ``other`` says where it says anything."""
        return dataclasses.replace(self, **other.stated)

    @classmethod
    def from_statements(cls, stated: Mapping[str, str]) -> TableDialect:
        """Of what a user stated about the tables of one command."""
        return cls(**{name: value for name, value in stated.items() if value != AUTO})


UNSTATED = TableDialect()


@dataclass(frozen=True)
class RowFormat:
    """How lists of any length become columns, and how text tables are written."""

    lists: tuple[ListLayout, ...] = ()
    dialect: TableDialect = UNSTATED


AS_FOUND = RowFormat()  # tables are read by their first lines, and lists are of one length


@dataclass(frozen=True)
class NamedInput:
    """One input of a model by its name: a tensor of this shape (of one row) and type, made of these columns.

    ``codes``: its whole numbers are places in a table of so many rows; None where there is no such table.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...]
    codes: int | None = None

    @property
    def width(self) -> int:
        """Numbers of one row."""
        return math.prod(self.shape)

    @property
    def takes_text(self) -> bool:
        return self.dtype == "string"

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers, which are never scaled."""
        return self.codes is not None or self.dtype.startswith(("int", "uint"))


@dataclass(frozen=True)
class NamedOutput:
    """One of several answers of a model: the numbers ``start`` to ``stop`` of its raw output, for one target column.

    ``primary``: the one that is judged. ``guard``: a challenger that is shown worse at it is rejected. ``classes``: the
    labels behind its codes, as text; () of a number.
    """

    name: str
    target: str
    task: Literal["binary", "multiclass", "regression"]
    start: int
    stop: int
    kind: Literal["probability", "logit", "value"]
    classes: tuple[str, ...] = ()
    primary: bool = False
    guard: bool = True

    @property
    def labels(self) -> tuple[str, ...] | tuple[int, ...] | tuple[bool, ...]:
        """The classes as the rows hold them: whole numbers or truth where all texts are so written."""
        if all(WHOLE.fullmatch(text) for text in self.classes):
            return tuple(int(text) for text in self.classes)
        return tuple(text == "true" for text in self.classes) if {*self.classes} == {"true", "false"} else self.classes


@dataclass(frozen=True)
class ModelSignature:
    """All named inputs and outputs of a model, each in its order; () where there is but one without a name.

    ``row_format``: how the rows are written that its columns are read from.
    """

    inputs: tuple[NamedInput, ...] = ()
    outputs: tuple[NamedOutput, ...] = ()
    row_format: RowFormat = AS_FOUND
