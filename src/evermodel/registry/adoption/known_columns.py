"""What the model file says about its input columns, by the columns' names: kinds, and tables of categories."""

from __future__ import annotations

import dataclasses

import polars as pl

from evermodel.core.contracts.inference import KnownColumn
from evermodel.core.data.column_names import match_names
from evermodel.core.data.contract import Contract
from evermodel.core.data.target_column import class_text
from evermodel.core.errors import ContractBroken
from evermodel.core.model.framework import Signature
from evermodel.core.records.column_roles import Roles


def match_columns(frame: pl.LazyFrame, roles: Roles) -> pl.LazyFrame:
    """The rows with their columns called as the model calls its inputs, where the spelling alone differs."""
    there = frame.collect_schema().names()
    missing = [name for name in roles.inputs or () if name not in there]
    single = (roles.target, roles.time, roles.entity, roles.weight)
    taken = {*(roles.inputs or ()), *roles.slices, *roles.drop, *(name for name in single if name)}
    renamed = match_names(missing, [name for name in there if name not in taken])
    return frame.rename({old: new for new, old in renamed.items()}) if renamed else frame


def find_known_columns(frame: pl.LazyFrame, roles: Roles, needs: Signature) -> dict[str, KnownColumn]:
    """Name of a column -> what the file says of it. Raises ContractBroken where positions cannot be given names."""
    if not needs.columns:
        return {}
    names = list(roles.inputs or roles.input_columns(frame.collect_schema().names()))
    width = needs.shape[0] if needs.shape else len(names)
    if len(names) != width:
        raise ContractBroken(
            f"The model takes {width} columns and knows the categories of {len(needs.columns)} of them by position; "
            f"the rows have {len(names)} possible inputs: {', '.join(names[:12])}.",
            "Name its columns in order as `inputs`.",
        )
    found = {}
    for place, column in needs.columns.items():
        if column.kind == "number":  # whatever the rows hold must be read as numbers: see check_kinds
            continue
        texts = tuple(class_text(category).strip() for category in column.categories)
        found[names[place]] = KnownColumn(column.kind, texts if len(set(texts)) == len(texts) else ())
    return found


def choose_picture_column(frame: pl.LazyFrame, roles: Roles, needs: Signature) -> Roles:
    """The roles with the one column of bytes as the input, where the model reads a picture and no inputs are named.

    Raises ContractBroken where there is no such column, or are several.
    """
    if roles.inputs is not None or [column.kind for column in needs.columns.values()] != ["image"]:
        return roles
    schema = frame.collect_schema()
    found = [name for name in roles.input_columns(schema.names()) if schema[name] == pl.Binary]
    if len(found) == 1:
        return dataclasses.replace(roles, inputs=tuple(found))
    if found:
        raise ContractBroken(
            f"The model reads one picture; {len(found)} columns hold bytes: {', '.join(found[:8])}.",
            "Name the one that holds its pictures with `inputs`.",
        )
    raise ContractBroken(
        f"The model reads a picture; none of the columns holds one: {', '.join(schema.names()[:12])}.",
        "Give a folder with a folder of pictures for each class, or a table with a column of PNG or JPEG bytes, or of "
        "paths of such files beside the table.",
    )


def check_kinds(contract: Contract, needs: Signature) -> None:
    """Raises ContractBroken where the model was fitted on numbers and the rows hold words, or a column has no value."""
    width = needs.shape[0] if needs.shape else len(contract.columns)
    if needs.columns and len(contract.columns) != width:
        raise ContractBroken(
            f"The model takes {width} columns; the rows have usable values in {len(contract.columns)}: "
            f"{', '.join(contract.names[:12])}.",
            " ".join(contract.notes)[:300] or "Name its columns in order as `inputs`.",
        )
    for place, known in needs.columns.items():
        column = contract.columns[place]
        if known.kind in ("number", "boolean") and column.kind not in ("number", "boolean"):
            raise ContractBroken(
                f"The model was fitted on numbers in {column.name!r}; the rows hold words there.",
                "Give rows with the numbers that it was fitted on.",
            )


def check_known_values(contract: Contract, needs: Signature, frame: pl.DataFrame) -> tuple[str, ...]:
    """A sentence for each column with values that the model does not know.

    Raises ContractBroken where most values are unknown: then the column is another one, or is written otherwise.
    """
    notes = []
    for place, known in needs.columns.items():
        column = contract.columns[place]
        if known.kind != "category" or not column.categories:
            continue
        values = frame[column.name].drop_nulls()
        unknown = values.filter(~values.is_in(pl.Series(column.categories, dtype=pl.String).implode()))
        if len(unknown) > len(values) / 2:
            raise ContractBroken(
                f"The model knows {_name(column.categories)} in {column.name!r}; {len(unknown):,} of {len(values):,} "
                f"rows hold others, such as {_name(tuple(unknown.unique().sort()))}.",
                "Give the rows as the model was fitted on them, or name its columns in order as `inputs`.",
            )
        if len(unknown):
            notes.append(
                f"{column.name}: {len(unknown):,} of {len(values):,} rows hold values that the model does not know: "
                f"{_name(tuple(unknown.unique().sort()))}."
            )
    return tuple(notes)


def _name(values: tuple[str, ...]) -> str:
    return ", ".join(map(repr, values[:3])) + (", …" if len(values) > 3 else "")
