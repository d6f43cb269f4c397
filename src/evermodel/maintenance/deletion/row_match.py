"""Which rows are meant: those of one value of a column, and what is joined to them by the ids of predictions."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from evermodel.core.data.logged_predictions import PREDICTION_ID
from evermodel.core.data.values import canonical_text
from evermodel.monitoring.watched_rows import GROUP, ID
from evermodel.registry.prediction import ID_NAMES


@dataclass(frozen=True)
class RowMatch:
    """``text`` is the value's one spelling; ``ids`` are those of its predictions, as the log has them."""

    column: str
    text: str
    is_entity: bool
    ids: frozenset[str] = frozenset()

    def can_tell(self, frame: pl.DataFrame) -> bool:
        """Whether the rows of a frame can be told apart by the column, or by the ids of predictions."""
        return self.column in frame.columns or PREDICTION_ID in frame.columns

    def find(self, frame: pl.DataFrame) -> pl.Series:
        """(n,) bool of rows that hold the column, or an id of a prediction."""
        return self._select(frame, [self._equals(frame, self.column), self._is_among(frame, PREDICTION_ID)])

    def find_watched(self, frame: pl.DataFrame) -> pl.Series:
        """(n,) bool of a monitor's rows and labels, which hold ids and entities in columns of its own."""
        conditions = [self._is_among(frame, ID)]
        if self.column in ID_NAMES:
            conditions.append(self._equals(frame, ID))
        if self.is_entity:
            conditions.append(self._equals(frame, GROUP))
            if ID in frame.columns:  # of entity and time together
                conditions.append(pl.col(ID).str.starts_with(f"{self.text}|"))
        return self._select(frame, conditions)

    def _equals(self, frame: pl.DataFrame, column: str) -> pl.Expr | None:
        if column not in frame.columns:
            return None
        return canonical_text(pl.col(column), frame.schema[column]) == self.text

    def _is_among(self, frame: pl.DataFrame, column: str) -> pl.Expr | None:
        if column not in frame.columns or not self.ids:
            return None
        return pl.col(column).cast(pl.String).is_in(list(self.ids))

    @staticmethod
    def _select(frame: pl.DataFrame, conditions: list[pl.Expr | None]) -> pl.Series:
        found = pl.repeat(False, frame.height, eager=True)
        for condition in conditions:
            if condition is not None:
                found = found | frame.select(condition.fill_null(False)).to_series()
        return found
