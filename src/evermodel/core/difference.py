"""Holds new rows against the contract: what is missing, new, renamed, recoded or in another unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.errors import BadSetting, ContractBroken

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
        taken = [d for d in self.found if d.kind in accept or f"{d.kind}:{d.column}" in accept]
        return tuple(d for d in self.found if d.action == "refuse" and d not in taken)

    def raise_refused(self, accept: Collection[str] = ()) -> None:
        """Raises ContractBroken naming all that stand in the way; BadSetting for what cannot be accepted."""
        unknown = sorted(a for a in accept if a.partition(":")[0] not in ACCEPTABLE)
        if unknown:
            raise BadSetting(
                f"Only {', '.join(ACCEPTABLE)} can be accepted, each also of one column. Got {', '.join(unknown)}.",
                "Write unit or unit:COLUMN.",
            )
        wrong = self.refused(accept)
        if not wrong:
            return
        shown = " ".join(d.text for d in wrong[:12]) + (f" … and {len(wrong) - 12} more." if len(wrong) > 12 else "")
        can = sorted({f"{d.kind}:{d.column}" for d in wrong if d.kind in ACCEPTABLE})
        hint = f"If that is meant, accept it: {', '.join(can[:5])}." if can else "Mend the rows, or adopt a new model."
        raise ContractBroken(f"The rows do not fit the model. {shown}", hint)

    def migrated(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """``frame`` with its columns renamed and categories respelled as the contract has them."""
        names = {d.facts["from"]: d.column for d in self.found if d.kind == "renamed" and d.action == "migrate"}
        frame = frame.rename(names) if names else frame
        spelt = [d for d in self.found if d.kind == "spelling"]
        return frame.with_columns(
            pl.col(d.column).cast(pl.String).str.strip_chars().replace(dict(d.facts["spelt"])) for d in spelt
        )

    def as_json(self) -> list[dict[str, Any]]:
        """One object a difference."""
        return [{**dataclasses.asdict(d), "facts": dict(d.facts)} for d in self.found]

    def __str__(self) -> str:
        return "\n".join(f"{d.action:<8}{d.text}" for d in self.found) or "The rows fit the contract."


ACCEPTABLE = ("unit", "categories", "classes", "range", "type")


def difference(
    contract: Contract, frame: pl.LazyFrame, *, labelled: bool = True, new_classes: Action = "migrate"
) -> Differences:
    """What differs between the contract and ``frame``: its columns, all its categories, and up to 200,000 of its rows.

    Raises nothing for what it finds: ask the answer by ``raise_refused``. Two or three streaming passes.
    """
    from evermodel.core import difference_names as names
    from evermodel.core import difference_values as values

    found = names.compared(contract, frame, labelled=labelled)
    state = Differences(tuple(found), contract)
    frame = state.migrated(frame)
    found += values.compared(contract, frame)
    grown = contract.with_categories({d.column: d.facts["new"] for d in found if d.kind == "categories"})
    target = contract.roles.target
    if labelled and target in frame.collect_schema() and contract.classes:
        fresh = values.new_classes(contract, frame, new_classes)
        found += fresh
        if fresh and new_classes == "migrate":
            grown = grown.with_classes(fresh[0].facts["new"])
    return Differences(tuple(found), grown)
