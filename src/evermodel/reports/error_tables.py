"""Confusions and errors as tables, where numbers say more than a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evermodel.core.records.figures import Figures, ResidualCounts
from evermodel.reports.data_changes import Row
from evermodel.reports.pictures import BOTH, confusion_grid
from evermodel.reports.words import beside, count, format_signed, percent

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the error, in the table
MOST_IN_TABLE = 10  # classes; more are drawn as a grid


@dataclass(frozen=True)
class Cell:
    """How many rows of one class got one answer, and which share of the class that is."""

    rows: str
    share: str
    shade: int  # 0 to 9
    right: bool


@dataclass(frozen=True)
class Matrix:
    """One model's confusion matrix: a table for few classes, a picture for many."""

    who: str
    right: str
    labels: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    drawn: Markup | None


@dataclass(frozen=True)
class Confusion:
    """Both matrices, and the commonest confusions of the two together."""

    matrices: tuple[Matrix, ...]
    top: tuple[Row, ...]


def confusion(figures: Figures | None) -> Confusion | None:
    """None where there are no classes."""
    if figures is None or figures.confusion is None or not figures.labels:
        return None
    labels, right, counts = figures.labels, figures.confusion.right, figures.confusion.counts
    n = figures.n or 1
    matrices = tuple(_matrix(who, counts[who], labels, right[who] / n) for who in BOTH if who in counts)
    top = tuple(
        Row(
            f"{labels[c.true]} taken for {labels[c.answer]}",
            (count(c.champion), count(c.challenger), format_signed(c.challenger - c.champion, 0)),
        )
        for c in figures.confusion.common
    )
    return Confusion(matrices, top if len(labels) > 3 else ())


def _matrix(who: str, counts: Sequence[Sequence[int]], labels: tuple[str, ...], right: float) -> Matrix:
    if len(labels) > MOST_IN_TABLE:
        return Matrix(who, percent(right), labels, (), confusion_grid(counts, who, labels))
    cells = tuple(
        tuple(
            Cell(count(n), percent(n / (sum(row) or 1), 0) if sum(row) else "", int(9 * n / (sum(row) or 1)), i == j)
            for j, n in enumerate(row)
        )
        for i, row in enumerate(counts)
    )
    return Matrix(who, percent(right), labels, cells, None)


def residual_rows(errors: ResidualCounts | None) -> tuple[Row, ...]:
    """Quantiles of prediction minus truth, champion and challenger."""
    if errors is None or not all(errors.quantiles.get(who) for who in BOTH):
        return ()
    return tuple(
        Row(f"{100 * level:g} %", tuple(beside(errors.quantiles[who][i], 10) for who in BOTH))
        for i, level in enumerate(errors.levels)
        if level in LEVELS
    )
