"""The texts of watched rows as columns that are counted like any other, and as sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.content_features import TEXT
from evermodel.core.data.contract import Contract
from evermodel.core.model.capabilities import TextEmbedding, TextWriting
from evermodel.core.model.model import Model
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference, build_references, count_groups
from evermodel.monitoring.texts.text_changes import NEED_WORDS, find_aspect
from evermodel.monitoring.texts.text_counts import TextCounts, sum_texts
from evermodel.monitoring.texts.text_reference import (
    LEARNT,
    NO_NETWORK,
    TextNetwork,
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


def find_text_network(model: Model) -> TextNetwork:
    """What the model's own network can say of texts."""
    framework = model.framework
    embed = partial(framework.embed_texts, model.obj) if isinstance(framework, TextEmbedding) else None
    if not isinstance(framework, TextWriting) or model.contract.task != "text":
        return TextNetwork(embed)
    return TextNetwork(embed, partial(_measure_nats, framework, model.obj))


def _measure_nats(framework: TextWriting, obj: Any, texts: Sequence[str]) -> Array:
    """(n,) minus the log probability of each text, behind nothing."""
    return -np.concatenate(framework.score_choices(obj, [""] * len(texts), [[text] for text in texts]))


def learn_text_columns(
    frame: pl.DataFrame, contract: Contract, network: TextNetwork = NO_NETWORK
) -> tuple[dict[str, TextReference], dict[str, ColumnReference]]:
    """The reference of each text column of described rows, oldest first; and of the columns measured against it."""
    rows, texts = frame.tail(MOST_ROWS), {}
    columns: dict[str, ColumnReference] = {}
    for column in (c.name for c in contract.columns if c.kind == "text"):
        own = {*list_learnt_columns(column), *(f"{column}.{what}" for what in TEXT)}
        learnt = learn_texts(rows, column, network) if not own & set(contract.names) else None
        if learnt is not None:
            texts[column] = learnt[0]
            for values in learnt[1]:
                columns |= build_references(_keep_measured(values, column).to_frame(), [values.name])
    return texts, columns


def _keep_measured(values: pl.Series, column: str) -> pl.Series:
    """Without nulls where these say that a text has no words, or was not measured: that is no missing text."""
    aspect = find_aspect(values.name, {column: None})
    return values.drop_nulls() if aspect is not None and aspect[1] in NEED_WORDS else values


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
    network: TextNetwork = NO_NETWORK,
) -> CountedTexts:
    """The texts of described rows, in the order in which they came; ``groups`` (n,) says in which window each is."""
    counted: dict[str, list[ColumnCounts]] = {}
    sums, newest = {}, {}
    for column, reference in references.items():
        if column not in inputs.columns:
            continue
        measured = measure_texts(inputs[column], reference, network)
        for values in measured.columns:
            if values.name in columns:
                kept = _keep_measured(values, column)
                own = groups if len(kept) == len(values) else groups[values.is_not_null().to_numpy()]
                counted[values.name] = count_groups(kept, own, n_groups, columns[values.name])
        repeated, newest[column] = find_repeated(inputs[column], recent.get(column, ()))
        described = inputs.hstack(list(measured.columns))
        sums[column] = sum_texts(described, column, measured.words, repeated, np.asarray(groups), n_groups)
    return CountedTexts(counted, sums, {**recent, **newest})
