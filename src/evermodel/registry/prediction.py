"""Predict rows with a version, as a frame or into a file."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.data.cleaning import Cleaned, clean, clean_in_batches
from evermodel.core.data.scan import scan
from evermodel.core.data.text_tables.safe_csv import write_csv
from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.files import write_whole
from evermodel.core.model.model import Model
from evermodel.registry.lookup import card_of, open_store
from evermodel.registry.predictions.unknown_categories import (
    describe_unknown_categories,
    refuse_unknown_categories,
    refuse_unknown_codes,
)
from evermodel.registry.results import PredictResult
from evermodel.registry.versions import load_version

USUAL_THRESHOLD = 0.5
ID_NAMES = ("prediction_id", "id", "ID", "Id", "row_id", "key", "uuid")


@dataclass(frozen=True)
class PredictedRows:
    """Predictions in the order of the rows: the id column where there is one, the prediction, a probability a class."""

    version: str
    frame: pl.DataFrame
    has_ids: bool
    notes: tuple[str, ...]


def predict_rows(
    name: str,
    data: Any,
    *,
    version: str | None = None,
    accept: tuple[str, ...] = (),
    registry: str | Path | None = None,
) -> PredictedRows:
    """Predict every row of ``data`` with a version (by default the champion), in memory.

    Raises BadData, ContractBroken, NotFound.
    """
    store = open_store(registry)
    card = card_of(store, name, version)
    model = load_version(store, card)
    frame = scan(data, model.contract.row_format)
    columns = frame.collect_schema().names()
    ids = tuple(c for c in ID_NAMES if c in columns and c not in model.contract.names)[:1]
    cleaned = clean_rows(model, frame, accept, labelled=False, keep=ids)
    predictions = pl.concat([predict_batch(model, batch, ids) for batch in clean_in_batches(cleaned)])
    notes = cleaned.notes
    if model.contract.task == "text":
        from evermodel.registry.adoption.free_text import describe_cut

        notes = (*notes, *describe_cut(model, cleaned.collect().frame))
    return PredictedRows(card.version, predictions, bool(ids), notes)


def predict_file(
    name: str,
    data: Any,
    *,
    to: str | Path,
    version: str | None = None,
    accept: tuple[str, ...] = (),
    registry: str | Path | None = None,
) -> PredictResult:
    """Predict rows with a version (by default the champion) and write the predictions to a file.

    The file holds the id of each row (or its number), the prediction and, for a classifier, a probability per class.
    Every row of ``data`` has its row there, in the same order. The file appears whole or not at all.

    Args:
        name: the name of the model.
        data: rows to predict: a file, a folder, an SQL URL or a frame. Labels are not needed.
        to: the file to write: .csv, .parquet, .jsonl or .arrow.
        version: the version to predict with, for example ``"v2"``.
        accept: differences from the contract to accept, for example ``("unit:price",)``.
        registry: the location of the registry.

    Raises:
        BadSetting: ``to`` has another suffix.
        BadData: the rows cannot be read.
        ContractBroken: the rows do not fit what the model expects.
        NotFound: there is no such model, version or folder.

    Example:
        $ evermodel predict churn customers.parquet --to churn.csv
    """
    began = time.monotonic()
    target = Path(to)
    write = _frame_writer(target)
    predicted = predict_rows(name, data, version=version, accept=accept, registry=registry)
    frame = predicted.frame if predicted.has_ids else predicted.frame.with_row_index("row")
    write_whole(target, lambda at: write(frame, at))
    seconds = time.monotonic() - began
    columns = tuple(frame.columns)
    return PredictResult(name, predicted.version, frame.height, str(target), columns, predicted.notes, seconds)


def clean_rows(
    model: Model, data: Any, accept: tuple[str, ...], *, labelled: bool, keep: tuple[str, ...] = ()
) -> Cleaned:
    """The rows of ``data`` as the contract of ``model`` wants them. Raises ContractBroken where they do not fit it."""
    frame = data if isinstance(data, pl.LazyFrame) else scan(data, model.contract.row_format)
    differences = compare_with_contract(model.contract, frame, labelled=labelled, new_classes="refuse")
    differences = refuse_unknown_categories(model, frame, differences)
    differences.refuse(accept)
    frame = differences.migrate(frame)
    if not labelled and model.transform.inputs:
        refuse_unknown_codes(model, frame)
    cleaned = clean(frame, model.contract, labelled=labelled, keep=keep)
    return dataclasses.replace(cleaned, notes=(*cleaned.notes, *describe_unknown_categories(differences)))


def class_codes(model: Model, p: Array) -> Array:
    """(n,) predicted class codes: the likeliest class, the first of equally likely ones, as the frameworks answer.

    Of a binary model with a threshold of its own, 1 from that threshold on.
    """
    if model.contract.task == "binary" and p.shape[1] == 2 and model.output.threshold != USUAL_THRESHOLD:
        return np.asarray((p[:, 1] >= model.output.threshold).astype(np.int64))
    return np.asarray(p.argmax(axis=1))


def predict_batch(model: Model, batch: pl.DataFrame, ids: tuple[str, ...]) -> pl.DataFrame:
    p = model.predict(batch)
    columns = [batch[c] for c in ids]
    others = [] if not model.contract.outputs else _list_other_answers(model, batch)
    if not model.contract.classes:
        return pl.DataFrame([*columns, pl.Series("prediction", p.tolist()), *others])
    classes = model.contract.classes
    predictions = pl.Series("prediction", list(classes)).gather(class_codes(model, p))
    probabilities = [pl.Series(f"p_{c}", p[:, i].astype(np.float32)) for i, c in enumerate(classes)]
    return pl.DataFrame([*columns, predictions, *probabilities, *others])


def _list_other_answers(model: Model, batch: pl.DataFrame) -> list[pl.Series]:
    """The answers that are not judged: ``prediction_TARGET``, and the probability of each class."""
    found = []
    answers = model.predict_others(batch)
    for output in model.contract.outputs:
        if output.primary:
            continue
        p = answers[output.target]
        if output.task == "regression":
            found.append(pl.Series(f"prediction_{output.target}", p))
            continue
        labels = pl.Series(f"prediction_{output.target}", list(output.labels)).gather(p.argmax(axis=1))
        shares = p.astype(np.float32)
        found += [labels, *(pl.Series(f"p_{output.target}_{c}", shares[:, i]) for i, c in enumerate(output.classes))]
    return found


def _frame_writer(to: Path) -> Callable[[pl.DataFrame, Path], object]:
    writers: dict[str, Callable[[pl.DataFrame, Path], object]] = {
        ".csv": write_csv,
        ".parquet": pl.DataFrame.write_parquet,
        ".jsonl": pl.DataFrame.write_ndjson,
        ".arrow": pl.DataFrame.write_ipc,
    }
    if to.suffix not in writers:
        raise BadSetting(f"`to` must end in {', '.join(writers)}. Got {to.name!r}.")
    if to.is_dir():
        raise AskedWrongly(f"`to` must name a file. Got the folder {to}.")
    if not to.absolute().parent.is_dir():
        raise NotFound(f"There is no folder {to.absolute().parent}.", "Create it first.")
    return writers[to.suffix]
