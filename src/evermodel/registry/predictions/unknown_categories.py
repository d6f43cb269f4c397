"""Categories in rows to answer that the model does not know: said, or refused where the model's own encoder raises."""

from __future__ import annotations

import dataclasses

import polars as pl

from evermodel.core.contracts.contract_difference import Difference, DifferenceDetail
from evermodel.core.contracts.differences import Differences
from evermodel.core.data.needed_values import is_outside_table
from evermodel.core.data.scan import collect
from evermodel.core.data.target_column import class_text
from evermodel.core.data.values import canonical_text
from evermodel.core.errors import ContractBroken
from evermodel.core.model.model import Model

MOST_NAMED = 5  # values, and rows, in one sentence


def refuse_unknown_categories(model: Model, frame: pl.LazyFrame, differences: Differences) -> Differences:
    """The differences, each new category of a column whose encoder raises for it refused: which values, which rows."""
    found = list(differences.found)
    frame = differences.migrate(frame)
    schema = frame.collect_schema()
    for place, known in model.signature.columns.items():
        column = model.contract.columns[place].name
        if not known.refuses_unknown or column not in schema:
            continue
        table = [class_text(category).strip() for category in known.categories]
        text = canonical_text(pl.col(column), schema[column])
        value = pl.col("value")
        unknown = value.is_not_null() & ~value.is_in(pl.Series(table, dtype=pl.String).implode())
        rows = collect(frame.select(value=text).with_row_index("row", offset=1).filter(unknown))
        if rows.height:
            found = [d for d in found if (d.kind, d.column) != ("categories", column)]
            found.append(_describe_refused(column, rows))
    return dataclasses.replace(differences, found=tuple(found))


def refuse_unknown_codes(model: Model, frame: pl.LazyFrame) -> None:
    """Raises ContractBroken where a row holds a code beyond the model's own table, or none: it has no answer to it."""
    schema = frame.collect_schema()
    for column in model.contract.columns:
        if column.below is None:
            continue
        outside = is_outside_table(column, schema[column.name]).alias("outside")
        rows = collect(frame.select(pl.col(column.name).alias("value"), outside).with_row_index("row", offset=1))
        rows = rows.filter("outside")
        if rows.height:
            values = tuple(rows["value"].unique(maintain_order=True).to_list())
            raise ContractBroken(
                f"{column.name!r} holds {_name(values)} beyond the model's table of {column.below:,} codes: "
                f"{rows.height:,} rows ({_name_rows(rows)}).",
                f"The model has no answer to them; it knows the whole numbers from 0 to {column.below - 1:,}. Leave "
                "these rows out.",
            )


def describe_unknown_categories(differences: Differences) -> tuple[str, ...]:
    """A sentence for each column with new categories that rows may hold all the same."""
    return tuple(
        f"{d.column}: {_name(d.detail.new_values)} unknown to the model; such a value counts as none of those it knows."
        for d in differences.found
        if d.kind == "categories"
    )


def _describe_refused(column: str, rows: pl.DataFrame) -> Difference:
    values = tuple(rows["value"].unique(maintain_order=True).to_list())
    text = (
        f"{column!r} holds {_name(values)} unknown to the model, and its encoder refuses unknown values: "
        f"{rows.height:,} rows ({_name_rows(rows)}). An update with labelled rows learns them; accepted, such a "
        "value counts as none of those it knows."
    )
    return Difference("categories", column, "refuse", text, DifferenceDetail(new_values=values, rows=rows.height))


def _name_rows(rows: pl.DataFrame) -> str:
    return ", ".join(f"{row:,}" for row in rows["row"].head(MOST_NAMED)) + (", …" if rows.height > MOST_NAMED else "")


def _name(values: tuple[object, ...]) -> str:
    shown = ", ".join(map(repr, values[:MOST_NAMED])) + (", …" if len(values) > MOST_NAMED else "")
    return f"{shown}, {'a value' if len(values) == 1 else f'{len(values)} values'}"
