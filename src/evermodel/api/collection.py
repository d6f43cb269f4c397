"""Several models, versions or alarms: a sequence that prints as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from evermodel.registry.result_table import ResultTable

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")


class Collection(Sequence[T], Generic[T]):
    """An immutable sequence of records. ``print`` shows a table, a notebook too, ``to_frame()`` gives a polars frame.

    Example:
        >>> import evermodel as em
        >>> versions = em.open("models")["churn"].versions
        >>> versions[0].name
        'v1'
        >>> versions.to_frame()["version"].to_list()
        ['v1']
    """

    def __init__(self, items: Sequence[T], table: ResultTable) -> None:
        self._items = tuple(items)
        self._table = table

    @overload
    def __getitem__(self, position: int) -> T: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[T]: ...
    def __getitem__(self, position: int | slice) -> T | Sequence[T]:
        return self._items[position]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __repr__(self) -> str:
        return "\n".join([self._table.title, *self._table.lines()]) if self._items else f"{self._table.title}: none"

    def _repr_html_(self) -> str:
        return self._table.to_html() if self._items else f"<p>{self._table.title}: none</p>"

    def to_frame(self) -> pl.DataFrame:
        """The table as a polars frame."""
        return self._table.to_frame()
