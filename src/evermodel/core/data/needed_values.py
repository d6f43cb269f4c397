"""Values without which a row cannot be used: codes that the model's table knows, a label for each of its answers."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.target_column import class_code
from evermodel.core.data.values import number
from evermodel.core.records.model_signature import NamedOutput


def is_outside_table(column: Column, dtype: pl.DataType) -> pl.Expr:
    """Whether a value is no place in the column's table of ``below`` places, or missing: the model has no answer."""
    found = number(pl.col(column.name), dtype, decimal_comma=column.decimal_comma)
    known = (found >= 0) & (found < (column.below or 0)) & (found == found.round())
    return ~known.fill_null(False)


def has_unknown_code(columns: Sequence[Column], schema: pl.Schema) -> pl.Expr:
    """Whether a row holds in any column of codes what the model's table lacks. At least one column must have one."""
    coded = [column for column in columns if column.below is not None]
    return pl.any_horizontal([is_outside_table(column, schema[column.name]) for column in coded])


def list_other_targets(contract: Contract) -> tuple[str, ...]:
    """The target columns of the answers that are not judged."""
    return tuple(output.target for output in contract.outputs if not output.primary)


def read_other_targets(contract: Contract, schema: pl.Schema) -> dict[str, pl.Expr]:
    """Column -> class code or number of each target that is not judged; null where it cannot be used."""
    return {o.target: read_target(o, schema[o.target]) for o in contract.outputs if not o.primary}


def has_all_targets(contract: Contract, schema: pl.Schema) -> pl.Expr:
    """Whether a row has a usable label for each answer that is not judged."""
    return pl.all_horizontal([found.is_not_null() for found in read_other_targets(contract, schema).values()])


def read_target(output: NamedOutput, dtype: pl.DataType) -> pl.Expr:
    """The class code or number of one answer's target; null where it cannot be used."""
    here = pl.col(output.target)
    if output.task != "regression":
        return class_code(here, dtype, output.classes)
    found = number(here, dtype)
    return pl.when(found.is_finite()).then(found)
