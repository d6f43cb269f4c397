"""Compares new rows with the contract: columns that are missing, new or renamed, other types, units and categories."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from evermodel.core.contracts.contract_difference import Action, Difference
from evermodel.core.data.contract import Contract
from evermodel.core.errors import BadSetting, ContractBroken
from evermodel.core.records.data_summary import ContractDifference

MOST_SHOWN = 12  # differences that one error names


@dataclass(frozen=True)
class Differences:
    """All differences; prints as a few lines. ``contract`` is the old one with new categories and classes appended."""

    found: tuple[Difference, ...]
    contract: Contract

    def list_refused(self, accept: Collection[str] = ()) -> tuple[Difference, ...]:
        """The differences for which the rows are refused.

        ``accept`` lists kinds ("unit"), or kinds of one column ("unit:price"), that are accepted all the same.
        """
        refused = [d for d in self.found if d.action == "refuse"]
        return tuple(d for d in refused if d.kind not in accept and f"{d.kind}:{d.column}" not in accept)

    def refuse(self, accept: Collection[str] = ()) -> None:
        """Raises ContractBroken naming the differences that are refused; BadSetting for what cannot be accepted."""
        unknown = sorted(a for a in accept if a.partition(":")[0] not in ACCEPTABLE)
        if unknown:
            raise BadSetting(
                f"Only {', '.join(ACCEPTABLE)} can be accepted, each also of one column. Got {', '.join(unknown)}.",
                "Write unit or unit:COLUMN.",
            )
        refused = self.list_refused(accept)
        if not refused:
            return
        more = f" … and {len(refused) - MOST_SHOWN} more." if len(refused) > MOST_SHOWN else ""
        shown = " ".join(d.text for d in refused[:MOST_SHOWN]) + more
        acceptable = sorted({f"{d.kind}:{d.column}" for d in refused if d.kind in ACCEPTABLE})
        hint = "Correct the rows, or adopt a new model."
        if acceptable:
            hint = f"If that is intended, give it as `accept`: {', '.join(acceptable[:5])}."
        raise ContractBroken(f"The rows do not fit the model. {shown}", hint)

    def migrate(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """``frame`` with its columns renamed and categories respelled as the contract has them."""
        renamed = [d for d in self.found if d.kind == "renamed" and d.action == "migrate"]
        names = {d.detail.from_column: d.column for d in renamed}
        frame = frame.rename(names) if names else frame
        respelled = [d for d in self.found if d.kind == "spelling"]
        return frame.with_columns(
            pl.col(d.column).cast(pl.String).str.strip_chars().replace(dict(d.detail.spellings)) for d in respelled
        )

    def summary(self) -> tuple[ContractDifference, ...]:
        """The differences as a version card keeps them."""
        return tuple(ContractDifference(d.kind, d.column, d.action, d.text) for d in self.found)

    def __str__(self) -> str:
        return "\n".join(f"{d.action:<8}{d.text}" for d in self.found) or "The rows fit the contract."


def _find_longer_lists(contract: Contract, places: list[str]) -> list[Difference]:
    """Lists with more places than the model takes: to leave these out in silence would cut the lists short."""
    known = set(contract.names)
    longer = {name.rpartition("[")[0] for name in places if name not in known}
    return [
        Difference(
            "new",
            f"{name}[0]",
            "refuse",
            f"The lists in {name!r} are longer than those that the model takes: pad or cut them.",
        )
        for name in sorted(longer)
        if f"{name}[0]" in known
    ]


ACCEPTABLE = ("unit", "categories", "classes", "range", "type", "total")


def compare_with_contract(
    contract: Contract, frame: pl.LazyFrame, *, labelled: bool = True, new_classes: Action = "migrate"
) -> Differences:
    """What differs between the contract and ``frame``: its columns, all its categories, and up to 200,000 of its rows.

    It raises nothing for what it finds: call ``refuse`` on the result. Costs two or three streaming passes.
    """
    from evermodel.core.contracts.column_differences import compare_columns
    from evermodel.core.contracts.total_rows import find_total_row
    from evermodel.core.contracts.value_differences import compare_values, find_new_classes

    differences = compare_columns(contract, frame, labelled=labelled)
    places = [name for name in frame.collect_schema().names() if name.endswith("]")]
    if places:
        differences += _find_longer_lists(contract, places)
    so_far = Differences(tuple(differences), contract)
    frame = so_far.migrate(frame)
    differences += compare_values(contract, frame)
    total = find_total_row(contract, frame)
    if total is not None:
        text = f"Row {total.row:,} is a row of totals, and no observation: {total.column!r} holds {total.value!r}."
        differences.append(Difference("total", total.column, "refuse", text))
    extended = contract.with_categories({d.column: d.detail.new_values for d in differences if d.kind == "categories"})
    target = contract.roles.target
    if labelled and target in frame.collect_schema() and contract.classes:
        new = find_new_classes(contract, frame, new_classes)
        differences += new
        if new and new_classes == "migrate":
            extended = extended.with_classes(new[0].detail.new_values)
    return Differences(tuple(differences), extended)
