"""Score a version on labelled rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.data.cleaning import clean_in_batches
from evermodel.core.data.table import Table
from evermodel.judging.task_metrics import compute_metrics
from evermodel.registry.lookup import card_of, open_store
from evermodel.registry.prediction import clean_rows
from evermodel.registry.results import EvaluateResult
from evermodel.registry.versions import load_version


def evaluate(
    name: str,
    data: Any,
    *,
    version: str | None = None,
    accept: tuple[str, ...] = (),
    registry: str | Path | None = None,
) -> EvaluateResult:
    """Score a version (by default the champion) on labelled rows.

    The rows are read in batches and are not remembered.

    Args:
        name: the name of the model.
        data: labelled rows: a file, a folder, an SQL URL or a frame.
        version: the version to score, for example ``"v2"``.
        accept: differences from the contract to accept, for example ``("unit:price",)``.
        registry: the location of the registry.

    Raises:
        BadData: the rows cannot be read.
        ContractBroken: the rows do not fit what the model expects.
        NotFound: there is no such model or version.

    Example:
        $ evermodel evaluate churn march.csv
    """
    began = time.monotonic()
    store = open_store(registry)
    card = card_of(store, name, version)
    model = load_version(store, card)
    cleaned = clean_rows(model, data, accept, labelled=True)
    y, p = [], []
    for batch in clean_in_batches(cleaned):
        rows = Table(batch, model.contract.roles)
        y.append(model.target(rows))
        p.append(model.answer_rows(rows).astype(np.float32))
    notes = cleaned.notes
    if model.contract.task == "text":
        from evermodel.registry.adoption.free_text import describe_cut

        notes = (*notes, *describe_cut(model, cleaned.collect().frame))
    scores = compute_metrics(np.concatenate(y), np.concatenate(p).astype(np.float64), model.contract.task)
    seconds = time.monotonic() - began
    return EvaluateResult(name, card.version, cleaned.rows, scores, cleaned.summary(), notes, seconds)
