"""What a model expects of the rows it is given."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evermodel.core.data.task import Task
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.model_signature import AS_FOUND, ListLayout, NamedOutput, RowFormat, TableDialect

Kind = Literal["number", "category", "boolean", "image", "text"]


@dataclass(frozen=True)
class Column:
    """One input column. After cleaning: number and boolean are Float64, category and text String, image Binary.

    ``categories`` is the code table: a category's code is its position; it is append-only, so that codes never change.
    """

    name: str
    kind: Kind
    dtype: str = ""  # as polars called it at adoption: "Int64", "String"
    categories: tuple[str, ...] = ()
    low: float | None = None  # of the finite reference values
    high: float | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    missing: float = 0.0  # share of the reference rows
    whole: bool = False  # only whole numbers were seen
    quantiles: tuple[float, ...] = ()  # at 5, 25, 50, 75 and 95 % of the finite reference values
    below: int | None = None  # whole numbers from 0 to below - 1: places in a table of the model's own
    decimal_comma: bool = False  # "1,234" in a text is 1.234, not 1234


@dataclass(frozen=True)
class Contract:
    """The columns a model expects, in its order, the task, and the labels behind the class codes 0 … k-1."""

    task: Task
    roles: Roles
    columns: tuple[Column, ...]
    classes: tuple[Any, ...] = ()
    outputs: tuple[NamedOutput, ...] = ()  # of a model with several answers; ``task`` and ``classes`` are the primary's
    row_format: RowFormat = AS_FOUND  # how rows are written that it reads: see scan
    left_out: tuple[str, ...] = ()  # columns of the reference rows that could have been inputs and are none
    notes: tuple[str, ...] = ()  # what was decided when it was learnt, for people: why columns were left out

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    def with_categories(self, new: Mapping[str, tuple[str, ...]]) -> Contract:
        """The same contract with categories appended; known codes stay as they are."""
        columns = tuple(
            dataclasses.replace(
                c, categories=c.categories + tuple(v for v in new.get(c.name, ()) if v not in c.categories)
            )
            for c in self.columns
        )
        return dataclasses.replace(self, columns=columns)

    def with_classes(self, new: tuple[Any, ...]) -> Contract:
        """The same contract with classes appended; a binary task becomes multiclass."""
        classes = self.classes + tuple(c for c in new if c not in self.classes)
        return dataclasses.replace(self, classes=classes, task="multiclass" if len(classes) > 2 else self.task)

    def reads(self, now: Contract) -> bool:
        """Whether rows coded by the contract ``now`` mean the same to a model that has this one."""
        both = min(len(self.classes), len(now.classes))
        return self.names == now.names and self.classes[:both] == now.classes[:both]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Contract:
        raw = json.loads(text)
        roles = raw.pop("roles")
        roles["slices"], roles["drop"] = tuple(roles["slices"]), tuple(roles["drop"])
        roles["inputs"] = None if roles["inputs"] is None else tuple(roles["inputs"])
        columns = tuple(
            Column(**{**c, "categories": tuple(c["categories"]), "quantiles": tuple(c.get("quantiles", ()))})
            for c in raw.pop("columns")
        )
        classes, notes = tuple(raw["classes"]), tuple(raw.get("notes", ()))
        left_out = tuple(raw["left_out"]) if "left_out" in raw else _find_left_out(notes)
        outputs = tuple(NamedOutput(**{**o, "classes": tuple(o["classes"])}) for o in raw.get("outputs", ()))
        written = raw.get("row_format") or {"lists": (), "dialect": {}}
        lists = tuple(ListLayout(**layout) for layout in written["lists"])
        row_format = RowFormat(lists, TableDialect(**written["dialect"]))
        return cls(raw["task"], Roles(**roles), columns, classes, outputs, row_format, left_out, notes)


def _find_left_out(notes: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a contract stored before 2026-12, which were named in its notes alone."""
    return tuple(note.rpartition(": left out, ")[0] for note in notes if ": left out, " in note)
