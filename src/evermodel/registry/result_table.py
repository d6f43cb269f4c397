"""A small table of a result: printed as aligned text, shown in a notebook as HTML, given as a frame."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import polars as pl

Cell: TypeAlias = str | int | float | bool | None
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class ResultTable:
    """Rows under headings. ``rows`` hold one cell a column; None is an empty cell, NaN a number that is not known."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def from_mappings(cls, title: str, rows: Sequence[Mapping[str, Cell]]) -> ResultTable:
        """A table of mappings that all have the keys of the first one."""
        columns = tuple(rows[0]) if rows else ()
        return cls(title, columns, tuple(tuple(row.get(c) for c in columns) for row in rows))

    def lines(self) -> list[str]:
        """The headings and rows as aligned text; empty where there are no rows."""
        if not self.rows:
            return []
        texts = [[format_cell(cell) for cell in row] for row in self.rows]
        widths = [max(len(c), *(len(row[i]) for row in texts)) for i, c in enumerate(self.columns)]
        return [
            "  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in (self.columns, *texts)
        ]

    def to_frame(self) -> pl.DataFrame:
        """The table as a polars frame, numbers in full precision. A column that mixes numbers and text becomes text."""
        import polars as pl

        columns = {}
        for position, name in enumerate(self.columns):
            cells = [row[position] for row in self.rows]
            kinds = {type(cell) for cell in cells if cell is not None}
            mixed = len(kinds) > 1 and not kinds <= {int, float, bool}
            columns[name] = pl.Series(
                [str(c) if c is not None else None for c in cells] if mixed else cells, strict=False
            )
        return pl.DataFrame(columns)

    def to_html(self) -> str:
        """The table for a notebook; every cell is escaped."""
        if not self.rows:
            return ""
        caption = f"<caption style='text-align:left'>{html.escape(self.title)}</caption>" if self.title else ""
        head = "".join(f"<th>{html.escape(c)}</th>" for c in self.columns)
        body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in self.rows)
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def format_number(value: float, form: str) -> str:
    """A number as people read it; one that is NaN or infinite is "not known"."""
    return format(value, form) if math.isfinite(value) else NOT_KNOWN


def format_cell(cell: Cell) -> str:
    """The text of a cell: four decimals for a float, nothing for None."""
    if cell is None:
        return ""
    return format_number(cell, ".4f") if isinstance(cell, float) else str(cell)


def _html_cell(cell: Cell) -> str:
    align = "right" if isinstance(cell, (int, float)) and not isinstance(cell, bool) else "left"
    return f"<td style='text-align:{align}'>{html.escape(format_cell(cell))}</td>"
