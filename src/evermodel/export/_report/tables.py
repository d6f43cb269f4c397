"""Confusions and errors as tables, where numbers say more than a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evermodel.export._report.changes import Row
from evermodel.export._report.pictures import BOTH, confusion_grid
from evermodel.export._report.words import beside, count, percent, signed

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


def confusion(facts: Mapping[str, Any]) -> Confusion | None:
    """None where there are no classes."""
    told: Mapping[str, Any] = facts.get("confusion") or {}
    labels = tuple(str(v) for v in facts.get("labels") or ())
    if not told or not labels:
        return None
    n = facts.get("n") or 1
    counts = told.get("counts") or {}
    matrices = tuple(_matrix(who, counts[who], labels, told["right"][who] / n) for who in BOTH if who in counts)
    top = tuple(
        Row(f"{labels[t['true']]} taken for {labels[t['answer']]}",
            (count(t["champion"]), count(t["challenger"]), signed(t["challenger"] - t["champion"], 0)))
        for t in told.get("top") or ()
    )  # fmt: skip
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


def residual_rows(facts: Mapping[str, Any]) -> tuple[Row, ...]:
    """Quantiles of prediction minus truth, champion and challenger."""
    told: Mapping[str, Any] = facts.get("residuals") or {}
    quantiles = told.get("quantiles") or {}
    if not all(quantiles.get(who) for who in BOTH):
        return ()
    return tuple(
        Row(f"{100 * level:g} %", tuple(beside(quantiles[who][i], 10) for who in BOTH))
        for i, level in enumerate(told.get("levels") or ())
        if level in LEVELS
    )
