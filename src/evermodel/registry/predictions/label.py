"""Labels that arrive later: joined to the predictions in the log, by prediction id or by columns that clients sent."""

from __future__ import annotations

import hashlib
import io
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core import clock
from evermodel.core.data.contract import Contract
from evermodel.core.data.logged_predictions import (
    LABELLED_AT,
    LABELS,
    PREDICTION_ID,
    is_prediction_log,
    list_label_files,
    list_row_files,
    scan_files,
)
from evermodel.core.data.row_cleaning import target_value
from evermodel.core.data.scan import collect, reading, scan
from evermodel.core.data.values import canonical_text
from evermodel.core.errors import AskedWrongly, BadData, ContractBroken, NotFound
from evermodel.core.files import write_whole
from evermodel.core.store import Store
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.prediction import ID_NAMES
from evermodel.registry.predictions.seal_segments import log_folder, read_open_segments, seal_orphans
from evermodel.registry.results import Result

STDIN = "-"
_KEY = "__key"


@dataclass(frozen=True)
class LabelResult(Result):
    """How many labels found their predictions, and what can be done with them now."""

    name: str
    labels: int  # usable ones that were given
    joined: int
    unmatched: int  # there is no such prediction in the log
    unusable: int  # no label, or one that the model does not know
    by: tuple[str, ...]  # the columns that joined them
    labelled_rows: int  # predictions in the log that have a label now
    rows: int  # predictions in the log
    log: str

    def lines(self) -> list[str]:
        """What was joined, and what to do next."""
        by = " and ".join(self.by)
        found = [f"{self.name}: {self.joined:,} of {self.labels:,} labels joined to predictions by {by}"]
        if self.unmatched:
            found.append(f"  {self.unmatched:,} have no prediction in the log, and were not kept")
        if self.unusable:
            found.append(f"  {self.unusable:,} rows have no label that the model knows")
        found.append(f"  {self.labelled_rows:,} of {self.rows:,} predictions are labelled; to learn from them:")
        found.append(f"  evermodel update {self.name} {self.log}")
        return found


def label(name: str, data: Any, *, registry: str | Path | None = None) -> LabelResult:
    """Join labels to the predictions that ``evermodel serve`` logged.

    The rows hold the target and say which prediction they are of: by ``prediction_id``, or by a column that clients
    sent with their rows (``id``, or entity and time). The label that came last counts.

    Args:
        name: the name of the model.
        data: a file or frame of labels; "-" reads CSV or JSON lines from the standard input.
        registry: the location of the registry.

    Raises:
        NotFound: nothing was logged for this model.
        ContractBroken: the labels have no column of the target's name.
        AskedWrongly: no column says which prediction a label is of.

    Example:
        $ evermodel label churn answers.csv
    """
    store = open_store(registry)
    contract = read_contract(store, name)
    folder = log_folder(store, name)
    if not is_prediction_log(folder):
        raise NotFound(f"No predictions of {name} are logged.", f"'evermodel serve {name}' logs them.")
    seal_orphans(folder)
    given = scan(_read_stdin() if isinstance(data, str) and data == STDIN else data)
    labels, by, unusable = _read_labels(given, contract)
    predictions = _read_keys(folder, by)
    joined = labels.join(predictions, on=_KEY, how="inner", maintain_order="left")
    unmatched = labels.height - joined[_KEY].n_unique()
    target = str(contract.roles.target)
    _keep_labels(folder, joined.select(PREDICTION_ID, target))
    labelled = _count_labelled(folder)
    return LabelResult(
        name, labels.height, joined.height, unmatched, unusable, by, labelled, predictions.height, str(folder)
    )


def read_contract(store: Store, name: str) -> Contract:
    """The contract of the version in service, without loading the model."""
    card = champion_of(store, name)
    return Contract.from_json((store.version_folder(name, card.version) / "contract.json").read_text())


def _read_stdin() -> pl.DataFrame:
    data = sys.stdin.buffer.read()
    if not data.strip():
        raise BadData("There are no labels on the standard input.", "Give CSV with a header, or JSON lines.")
    with reading("The standard input"):
        if data.lstrip()[:1] == b"{":
            return pl.read_ndjson(io.BytesIO(data))
        return pl.read_csv(io.BytesIO(data), infer_schema_length=None)


def _read_labels(given: pl.LazyFrame, contract: Contract) -> tuple[pl.DataFrame, tuple[str, ...], int]:
    """Key and usable label of each row, the last of each key; the columns that make the key; how many are unusable."""
    schema, target = given.collect_schema(), str(contract.roles.target)
    if target not in schema:
        raise ContractBroken(f"The labels have no column {target!r}. They have {', '.join(schema.names()[:10])}.")
    by = _find_keys(schema.names(), contract)
    key = pl.concat_str([canonical_text(pl.col(k), schema[k]).fill_null("") for k in by], separator="|")
    usable = target_value(contract, schema).is_not_null()
    rows = collect(given.select(key.alias(_KEY), pl.col(target), usable.alias("__usable")))
    kept = rows.filter(pl.col("__usable")).drop("__usable")
    return kept.unique(_KEY, keep="last", maintain_order=True), by, rows.height - kept.height


def _find_keys(names: Sequence[str], contract: Contract) -> tuple[str, ...]:
    own = [n for n in ID_NAMES if n in names and n not in contract.names]
    if own:
        return (own[0],)
    both = (contract.roles.entity, contract.roles.time)
    if all(n is not None and n in names for n in both):
        return tuple(str(n) for n in both)
    raise AskedWrongly(
        "The labels cannot be joined: no column says which prediction a label is of.",
        f"Give the column {PREDICTION_ID!r} of the answers, or an id that clients sent with their rows.",
    )


def _read_keys(folder: Path, by: tuple[str, ...]) -> pl.DataFrame:
    """Prediction id and key of every logged prediction that has the key, those in segments that are open too."""
    parts = [part for rows in read_open_segments(folder) for part in rows.values()]
    frames = [pl.scan_parquet(file, glob=False) for file in list_row_files(folder)] + [part.lazy() for part in parts]
    keyed = []
    for frame in frames:
        schema = frame.collect_schema()
        if all(name in schema for name in by):
            key = pl.concat_str([canonical_text(pl.col(k), schema[k]).fill_null("") for k in by], separator="|")
            keyed.append(frame.select(PREDICTION_ID, key.alias(_KEY)))
    if not keyed:
        raise AskedWrongly(
            f"No logged prediction has the column {by[0]!r}: clients did not send it with their rows.",
            f"Join by {PREDICTION_ID!r}.",
        )
    found = pl.concat(keyed).unique(PREDICTION_ID, maintain_order=True)  # sealed between two looks: once
    return collect(found)


def _keep_labels(folder: Path, labels: pl.DataFrame) -> None:
    """Writes new labels as one file. The same labels again change nothing."""
    if not labels.height:
        return
    digest = hashlib.sha256(labels.write_csv().encode()).hexdigest()[:16]
    if any(digest in file.name for file in list_label_files(folder)):
        return
    at = folder / LABELS / f"{time.time_ns() // 1_000_000:015d}-{digest}.parquet"
    dated = labels.with_columns(pl.lit(clock.current_time()).dt.cast_time_unit("us").alias(LABELLED_AT))
    write_whole(at, dated.write_parquet)


def _count_labelled(folder: Path) -> int:
    files = list_label_files(folder)
    if not files:
        return 0
    return int(collect(scan_files(files).select(pl.col(PREDICTION_ID).n_unique())).item())
