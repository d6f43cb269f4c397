"""Holds new rows against the contract: what is missing, new, renamed, recoded or in another unit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from evermodel.core.contract import Contract

Action = Literal["refuse", "migrate", "note"]
Kind = Literal[
    "missing", "new", "renamed", "reordered", "type", "unit", "categories", "spelling", "classes", "target", "range"
]


@dataclass(frozen=True)
class Difference:
    """One way in which new rows differ from the contract, and what is done about it."""

    kind: Kind
    column: str
    action: Action
    text: str  # one sentence
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Differences:
    """All differences; prints as a few lines. ``contract`` is the old one with new categories and classes appended."""

    found: tuple[Difference, ...]
    contract: Contract

    def refused(self, accept: Collection[str] = ()) -> tuple[Difference, ...]:
        """Those that stand in the way; ``accept`` lists kinds ("unit") or kind and column ("unit:price")."""
        raise NotImplementedError

    def raise_refused(self, accept: Collection[str] = ()) -> None:
        """Raises ContractBroken naming all that stand in the way."""
        raise NotImplementedError

    def migrated(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """``frame`` with its columns renamed and categories respelled as the contract has them."""
        raise NotImplementedError

    def as_json(self) -> list[dict[str, Any]]:
        raise NotImplementedError


def difference(
    contract: Contract, frame: pl.LazyFrame, *, labelled: bool = True, new_classes: Action = "migrate"
) -> Differences:
    """What differs between the contract and ``frame``, from one look at its columns and at up to 200,000 of its rows."""
    raise NotImplementedError
