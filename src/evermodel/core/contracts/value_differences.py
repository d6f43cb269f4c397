"""Values by column: another unit, new or respelled categories, out of range; new classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from evermodel.core.contracts.contract_difference import Action, Difference, DifferenceDetail
from evermodel.core.contracts.inference import list_categories
from evermodel.core.contracts.unit_changes import compute_quantiles, find_unit_change, measure_distance, shape_distance
from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.scan import collect, spread_rows
from evermodel.core.data.target_column import class_code, fold_label, read_label
from evermodel.core.data.values import number

MANY = 6  # columns of numbers from which "most of them drifted" means something
ALONE = 50.0  # times the others' distance, where most drifted: what is farther did not drift with them (real: up to 14)
OUTSIDE = 0.2  # share of rows outside the reference range from which it is worth a line


def compare_values(contract: Contract, frame: pl.LazyFrame) -> list[Difference]:
    """All differences in the values of the input columns that are there, and of a numeric target."""
    schema = frame.collect_schema()
    there = [c for c in contract.columns if c.name in schema and schema[c.name] != pl.Null]
    numbers = [c for c in there if c.kind == "number"]
    found: list[Difference] = []
    if numbers:
        exprs = [number(pl.col(c.name), schema[c.name], decimal_comma=c.decimal_comma) for c in numbers]
        sample = spread_rows(frame.select(exprs))
        drift = _drift(numbers, sample)
        for c in numbers:
            found += _number(c, sample[c.name], drift)
    for c in there:
        if c.kind == "category" and schema[c.name] != pl.Binary:
            found += _categories(c, list_categories(frame, c.name, schema[c.name]))
    return found


def _drift(columns: list[Column], sample: pl.DataFrame) -> float:
    """The median distance of columns that drifted, where so many did that a factor among them proves little; else 0."""
    if len(columns) < MANY:
        return 0.0
    pairs = [(np.asarray(c.quantiles), compute_quantiles(sample[c.name])) for c in columns if c.quantiles]
    known = [(old, new) for old, new in pairs if new is not None]
    far = [measure_distance(old, new) for old, new in known if shape_distance(old, new) > 1]
    return float(np.median(far)) if len(far) > len(known) / 3 else 0.0


def _number(column: Column, values: pl.Series, drift: float) -> list[Difference]:
    unit = find_unit_change(column, values)
    finite = values.filter(values.is_finite()).cast(pl.Float64)
    if unit is not None:
        new = compute_quantiles(values)
        drifted = new is not None and measure_distance(np.asarray(column.quantiles), new) < ALONE * drift
        action: Action = "note" if drifted and not unit.plain else "refuse"
        text = (
            f"{column.name!r} changed its scale: median {column.median:.6g} before, "
            f"{float(np.median(finite.to_numpy())):.6g} now, as by {unit.name}."
        )
        if action == "note":
            text += " Many columns drifted, so this is treated as drift."
        return [Difference("unit", column.name, action, text, DifferenceDetail(factor=unit.factor, shift=unit.shift))]
    if not len(finite) or column.low is None or column.high is None:
        return []
    x = finite.to_numpy()
    outside = float(((x < column.low) | (x > column.high)).mean())
    if outside < OUTSIDE:
        return []
    text = f"{column.name!r}: {outside:.0%} of the values lie outside [{column.low:.6g}, {column.high:.6g}]."
    return [Difference("range", column.name, "note", text, DifferenceDetail(outside=outside))]


def _categories(column: Column, values: tuple[Any, ...]) -> list[Difference]:
    """New categories; those that are a known one in another spelling, while that one is gone, are respelled."""
    known = set(column.categories)
    new = [v for v in values if v not in known]
    if not new:
        return []
    plain: dict[str, list[str]] = {}
    for k in column.categories:
        plain.setdefault(" ".join(k.casefold().split()), []).append(k)
    folded = [" ".join(v.casefold().split()) for v in new]
    spellings = {}
    for v, f in zip(new, folded, strict=True):
        like = plain.get(f, [])
        if len(like) == 1 and like[0] not in values and folded.count(f) == 1:
            spellings[v] = like[0]
    found = []
    if spellings:
        pairs = ", ".join(f"{a!r} for {b!r}" for a, b in list(spellings.items())[:5])
        text = f"{column.name!r} is spelled differently: {pairs}; the known spelling is used."
        found.append(Difference("spelling", column.name, "migrate", text, DifferenceDetail(spellings=spellings)))
    new_values = tuple(v for v in new if v not in spellings)
    if new_values:
        shown = ", ".join(map(repr, new_values[:5])) + (", …" if len(new_values) > 5 else "")
        text = f"{column.name!r} has {len(new_values)} new categories ({shown}); they get new codes, known codes stay."
        found.append(Difference("categories", column.name, "migrate", text, DifferenceDetail(new_values=new_values)))
    return found


def find_new_classes(contract: Contract, frame: pl.LazyFrame, action: Action) -> list[Difference]:
    """Labels that are none of the contract's classes, as one difference."""
    name = contract.roles.target or ""
    dtype = frame.collect_schema()[name]
    label = read_label(pl.col(name), dtype, contract.classes)
    code = class_code(pl.col(name), dtype, contract.classes)
    counts = collect(frame.select(label.alias("label"), code.alias("code")).group_by("label", "code").len())
    counts = counts.drop_nulls("label").sort("label")
    fresh = _join_spellings({text: n for text, found, n in counts.iter_rows() if found is None})
    if not fresh:
        return []
    rows = int(counts["len"].sum())
    labels = tuple(_as_class(label, contract.classes) for label in fresh)
    shown = ", ".join(map(repr, labels[:5])) + (", …" if len(labels) > 5 else "")
    detail = DifferenceDetail(new_values=labels, rows=sum(fresh.values()), counts=tuple(fresh.values()), total=rows)
    if sum(fresh.values()) == rows and rows:
        text = f"None of the labels in {name!r} is a known class; there is {shown}."
        return [Difference("classes", name, "refuse", text, detail)]
    consequences = {
        "refuse": "the model knows none of them",
        "migrate": "the model is widened",
        "note": "their rows are left out",
    }
    share = f"{detail.rows:,} of {rows:,} rows"
    text = f"{name!r} has {len(labels)} new classes ({shown}) in {share}; {consequences[action]}."
    return [Difference("classes", name, action, text, detail)]


def _join_spellings(counts: dict[str, int]) -> dict[str, int]:
    """Labels that differ in spelling only, as one, under the most frequent spelling."""
    chosen: dict[str, str] = {}
    joined: dict[str, int] = {}
    for label, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        spelling = chosen.setdefault(fold_label(label), label)
        joined[spelling] = joined.get(spelling, 0) + n
    return dict(sorted(joined.items()))


def _as_class(label: str, classes: tuple[Any, ...]) -> Any:
    """A new label in the type of the known classes."""
    if {type(c) for c in classes} <= {int, float} and label.replace(".", "").lstrip("-").isdigit():
        value = float(label)
        return int(value) if value == int(value) else value
    return label
