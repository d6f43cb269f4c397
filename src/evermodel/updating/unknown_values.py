"""Categories and classes in new rows that the deployed model does not know: learnt only where the user says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import polars as pl

from evermodel.core.contracts.contract_difference import Difference
from evermodel.core.contracts.differences import Differences
from evermodel.core.data.contract import Contract
from evermodel.core.data.table import Table
from evermodel.core.data.target_column import class_text
from evermodel.core.errors import BadSetting

MOST_LEFT_OUT = 0.05  # of the rows: with more of unknown classes the delivery is refused
MOST_NAMED = 5  # values in one sentence


def admit_new_values(
    differences: Differences, contract: Contract, *, widen: bool, new_classes: Collection[Any], learns: bool = False
) -> Differences:
    """The differences with a contract that has the new categories and classes which the model is to learn.

    ``learns``: a training anew learns categories without a wider input, so that nobody has to ask for them. Rows of
    other classes are left out where they are few; else they are a difference for which the rows are refused. Raises
    BadSetting for a class that no row has.
    """
    found = differences.found
    learnt = {d.column: d.detail.new_values for d in found if d.kind == "categories"} if widen or learns else {}
    extended = contract.with_categories(learnt)
    if learns:
        found = tuple(_learn(d) if d.kind == "categories" else d for d in found)
    elif not widen:
        found = tuple(_keep_out(d) if d.kind == "categories" else d for d in found)
    classes = next((d for d in found if d.kind == "classes"), None)
    _check_named(contract, classes, new_classes)
    if classes is not None:
        named = {class_text(c) for c in new_classes}
        wanted = tuple(v for v in classes.detail.new_values if class_text(v) in named)
        extended = extended.with_classes(wanted)
        found = tuple(_decide_classes(d, wanted) if d is classes else d for d in found)
    return Differences(found, extended)


def describe_unknown_values(differences: Differences, rows: Table, *, learns: bool = False) -> tuple[str, ...]:
    """A sentence for each column with categories that the model does not know, and how many rows have them."""
    sentences = []
    for difference in differences.found:
        values = difference.detail.new_values
        if difference.kind == "categories" and (learns or difference.action == "note"):
            column = rows.frame[difference.column].cast(pl.String)
            count = int(column.is_in([str(value) for value in values]).sum())
            consequence = (
                "for the champion they are none of those it knows; a training anew learns them."
                if learns
                else "count as unknown; the option widen gives them inputs of their own."
            )
            sentences.append(
                f"{difference.column!r}: {_name_values(values)} in {count:,} of {len(rows):,} rows are new"
                f"{': ' if learns else ' and '}{consequence}"
            )
        elif difference.kind == "classes":
            sentences.append(difference.text)
    return tuple(sentences)


def _keep_out(difference: Difference) -> Difference:
    values = difference.detail.new_values
    text = f"{difference.column!r} has {len(values)} new categories ({_name_values(values)}); they count as unknown."
    return dataclasses.replace(difference, action="note", text=text)


def _learn(difference: Difference) -> Difference:
    values = difference.detail.new_values
    text = f"{difference.column!r} has {len(values)} new categories ({_name_values(values)}); a training learns them."
    return dataclasses.replace(difference, action="migrate", text=text)


def _check_named(contract: Contract, classes: Difference | None, new_classes: Collection[Any]) -> None:
    if not new_classes:
        return
    if contract.task == "regression":
        raise BadSetting("A regression has no classes, so that none can be new.", "Leave the new classes out.")
    known = {class_text(c) for c in contract.classes}
    present = {class_text(v) for v in classes.detail.new_values} if classes is not None else set()
    missing = [name for name in map(class_text, new_classes) if name not in known | present]
    if missing:
        there = f"New in them: {_name_values(tuple(sorted(present)))}." if present else "They hold known classes alone."
        raise BadSetting(f"No row is of the new class {missing[0]!r}.", there)


def _decide_classes(difference: Difference, wanted: tuple[Any, ...]) -> Difference:
    """Refused, where rows of classes that nobody named are more than a few; else left out, or learnt."""
    detail = difference.detail
    others = tuple(v for v in detail.new_values if v not in wanted)
    if not others:
        text = f"{_name_values(wanted)} in {detail.rows:,} of {detail.total:,} rows: new classes, as asked for."
        return dataclasses.replace(difference, action="migrate", text=text)
    rows = sum(n for v, n in zip(detail.new_values, detail.counts, strict=True) if v in others)
    text = (
        f"{rows:,} of {detail.total:,} rows are of classes that the model does not know ({_name_values(others)}). "
        f"Name those that it is to learn: --new-class {class_text(others[0])}, or new_classes=[{others[0]!r}]."
    )
    if rows <= MOST_LEFT_OUT * detail.total:
        return dataclasses.replace(difference, action="note", text=f"{text} These rows were left out.")
    return dataclasses.replace(difference, action="refuse", text=f"{text} Accepted, these rows are left out.")


def _name_values(values: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, values[:MOST_NAMED])) + (", …" if len(values) > MOST_NAMED else "")
