"""The texts of watched rows as columns that are counted like any other, and as sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.content_features import TEXT
from evermodel.core.data.contract import Contract
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference, count_groups
from evermodel.monitoring.texts.text_counts import TextCounts, sum_texts
from evermodel.monitoring.texts.text_reference import (
    LEARNT,
    TextReference,
    find_repeated,
    learn_texts,
    measure_texts,
)

MOST_ROWS = 20_000  # newest reference rows whose texts are learnt
REPEATS = "repeats"  # is counted in the sums alone


def list_learnt_columns(column: str) -> tuple[str, ...]:
    """``text.script``, …: what is measured of a column's texts against the reference rows."""
    return tuple(f"{column}.{what}" for what in (*LEARNT, REPEATS))


def learn_text_columns(frame: pl.DataFrame, contract: Contract) -> tuple[dict[str, TextReference], pl.DataFrame]:
    """The reference of each text column of described rows, oldest first; and the columns measured against it."""
    rows, found = frame.tail(MOST_ROWS), {}
    measured = []
    for column in (c.name for c in contract.columns if c.kind == "text"):
        own = {*list_learnt_columns(column), *(f"{column}.{what}" for what in TEXT)}
        learnt = learn_texts(rows, column) if not own & set(contract.names) else None
        if learnt is not None:
            found[column] = learnt[0]
            measured.append(learnt[1])
    return found, pl.concat(measured, how="horizontal") if measured else pl.DataFrame()


@dataclass(frozen=True)
class CountedTexts:
    """The texts of some rows, counted by window: columns that the monitor tests, and sums by text column."""

    columns: Mapping[str, list[ColumnCounts]] = field(default_factory=dict)
    sums: Mapping[str, list[TextCounts]] = field(default_factory=dict)
    recent: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # hashes of the newest texts


def count_texts(
    inputs: pl.DataFrame,
    references: Mapping[str, TextReference],
    columns: Mapping[str, ColumnReference],
    recent: Mapping[str, tuple[int, ...]],
    groups: Array,
    n_groups: int,
) -> CountedTexts:
    """The texts of described rows, in the order in which they came; ``groups`` (n,) says in which window each is."""
    counted: dict[str, list[ColumnCounts]] = {}
    sums, newest = {}, {}
    for column, reference in references.items():
        if column not in inputs.columns:
            continue
        measured = measure_texts(inputs[column], reference)
        for values in measured.columns:
            if values.name in columns:
                counted[values.name] = count_groups(values, groups, n_groups, columns[values.name])
        repeated, newest[column] = find_repeated(inputs[column], recent.get(column, ()))
        described = inputs.hstack(measured.columns)
        sums[column] = sum_texts(described, column, measured.words, repeated, np.asarray(groups), n_groups)
    return CountedTexts(counted, sums, {**recent, **newest})
