"""Use a version on rows: evaluate it, predict with it, write it back as a file. Memory stays flat on long files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.cleaning import Cleaned, clean, in_batches
from evermodel.core.difference import difference
from evermodel.core.errors import AskedWrongly, BadModel, BadSetting, NotFound
from evermodel.core.files import write_text, write_whole
from evermodel.core.framework import Exporting, Framework
from evermodel.core.model import Model
from evermodel.core.reading import scan
from evermodel.core.table import Array, Table
from evermodel.loop.home import card_of, open_home
from evermodel.loop.results import Evaluated, Predicted, Saved
from evermodel.loop.scoring import scores_of
from evermodel.loop.versions import load_version

ID_NAMES = ("id", "ID", "Id", "row_id", "key", "uuid")


def evaluate(
    name: str, data: Any, *, version: str | None = None, accept: tuple[str, ...] = (), home: str | Path | None = None
) -> Evaluated:
    """Score a version (the champion unless told otherwise) on labelled rows; the rows are not remembered.

    Reads the rows in batches. Raises BadData, ContractBroken, NotFound.

        $ evermodel evaluate churn march.csv
    """
    began = time.monotonic()
    store = open_home(home)
    card = card_of(store, name, version)
    model = load_version(store, card)
    cleaned = _cleaned(model, data, accept, labelled=True)
    y, p = [], []
    for batch in in_batches(cleaned):
        y.append(model.target(Table(batch, model.contract.roles)))
        p.append(model.predict(batch).astype(np.float32))
    scores = scores_of(np.concatenate(y), np.concatenate(p).astype(np.float64), model.contract.task)
    spent = time.monotonic() - began
    return Evaluated(name, card.version, cleaned.rows, scores, cleaned.as_json(), cleaned.notes, spent)


def predict(
    name: str, data: Any, *, to: str | Path, version: str | None = None, accept: tuple[str, ...] = (),
    home: str | Path | None = None,
) -> Predicted:  # fmt: skip
    """Predict rows with a version and write id (or row number), prediction and a probability per class.

    ``to`` ends in .csv, .parquet, .jsonl or .arrow, and is written whole. Every row of ``data`` has its row there,
    in order. Raises BadData, ContractBroken, NotFound.

        $ evermodel predict churn customers.parquet --to churn.csv
    """
    began = time.monotonic()
    target = Path(to)
    _writer(target)
    store = open_home(home)
    card = card_of(store, name, version)
    model = load_version(store, card)
    frame = scan(data)
    ids = tuple(c for c in ID_NAMES if c in frame.collect_schema().names() and c not in model.contract.names)[:1]
    cleaned = _cleaned(model, frame, accept, labelled=False, keep=ids)
    parts = [_predicted(model, batch, ids) for batch in in_batches(cleaned)]
    found = pl.concat(parts)
    if not ids:
        found = found.with_row_index("row")
    write_whole(target, lambda at: _writer(target)(found, at))
    spent = time.monotonic() - began
    return Predicted(name, card.version, found.height, str(target), tuple(found.columns), cleaned.notes, spent)


def save(name: str, *, to: str | Path, version: str | None = None, home: str | Path | None = None) -> Saved:
    """Write a version back as a model file of its own framework, its transform beside it as JSON; or all into a folder.

    The suffix of ``to`` says the format (.h5, .keras, .skops …). Raises BadSetting, naming the formats there are.

        $ evermodel save churn --to updated_model.h5
    """
    store = open_home(home)
    card = card_of(store, name, version)
    model = load_version(store, card)
    files = write_model(model, Path(to))
    return Saved(name, card.version, tuple(str(f) for f in files))


def check_target(target: Path, model: Model | None = None) -> None:
    """Raises NotFound or BadSetting where a model could not be written to, before anything was done for it."""
    there = next(p for p in target.absolute().parents if p.exists())
    if not there.is_dir():
        raise NotFound(f"{there} is a file, not a folder.", "Give --to another place.")
    check_format(target, None if model is None else model.framework)


def check_format(target: Path | None, framework: Framework | None) -> None:
    """Raises BadSetting where ``framework`` writes no file of the suffix of ``target``; a folder always does."""
    if target is None or framework is None or target.is_dir() or not target.suffix:
        return
    if isinstance(framework, Exporting):
        return
    formats = framework.suffixes()
    if target.suffix not in formats:
        raise BadSetting(f"--to must end in {' or '.join(formats)} for this model. Got {target.name!r}.")


def weights_alone(framework: Framework) -> tuple[str, ...]:
    """Suffixes of the files that do not say how their network is built: that is the user's own code."""
    return tuple(getattr(framework, "WEIGHTS", ()))


def write_model(model: Model, target: Path) -> list[Path]:
    """The model's file, and beside it NAME.transform.json: contract, transform and output.

    A model made of several is written as one of their framework where they fit together, else only into a folder.
    """
    check_target(target)
    folder = target.is_dir() or not target.suffix
    if isinstance(model.framework, Exporting):
        try:
            model = model.framework.exported(model)
        except BadModel:
            if not folder:
                raise
            target.mkdir(parents=True, exist_ok=True)
            model.framework.save(model.obj, target)
            return sorted(p for p in target.rglob("*") if p.is_file())
        if target.suffix in weights_alone(model.framework):
            raise BadSetting(
                f"{target.suffix} holds weights alone, and these are of several networks side by side: no module of "
                "yours has them.",
                f"Save as {model.framework.suffixes()[0]}, or into a folder.",
            )
    formats = model.framework.suffixes()
    if folder:
        target.mkdir(parents=True, exist_ok=True)
        target = target / f"model{formats[0]}"
    check_target(target, model)
    model.framework.write(model.obj, target)
    beside = target.with_suffix(".transform.json")
    texts = {
        "transform": model.transform.to_json(),
        "output": model.output.to_json(),
        "contract": model.contract.to_json(),
    }
    write_text(beside, json.dumps({k: json.loads(v) for k, v in texts.items()}, indent=1))
    return [target, beside]


def _cleaned(
    model: Model, data: Any, accept: tuple[str, ...], *, labelled: bool, keep: tuple[str, ...] = ()
) -> Cleaned:
    frame = data if isinstance(data, pl.LazyFrame) else scan(data)
    found = difference(model.contract, frame, labelled=labelled, new_classes="refuse")
    found.raise_refused(accept)
    return clean(found.migrated(frame), model.contract, labelled=labelled, keep=keep)


def _predicted(model: Model, batch: pl.DataFrame, ids: tuple[str, ...]) -> pl.DataFrame:
    p = model.predict(batch)
    columns = [batch[c] for c in ids]
    if model.contract.task == "regression":
        return pl.DataFrame([*columns, pl.Series("prediction", p)])
    answers = pl.Series("prediction", list(model.contract.classes)).gather(answer_codes(model, p))
    shares = [pl.Series(f"p_{c}", p[:, i].astype(np.float32)) for i, c in enumerate(model.contract.classes)]
    return pl.DataFrame([*columns, answers, *shares])


def answer_codes(model: Model, p: Array) -> Array:
    """(n,) class codes: the likeliest class; of a binary model, 1 from its threshold on."""
    if model.contract.task == "binary" and p.shape[1] == 2:
        return np.asarray((p[:, 1] >= model.output.threshold).astype(np.int64))
    return np.asarray(p.argmax(axis=1))


def _writer(to: Path) -> Any:
    writers = {
        ".csv": pl.DataFrame.write_csv,
        ".parquet": pl.DataFrame.write_parquet,
        ".jsonl": pl.DataFrame.write_ndjson,
        ".arrow": pl.DataFrame.write_ipc,
    }
    if to.suffix not in writers:
        raise BadSetting(f"--to must end in {', '.join(writers)}. Got {to.name!r}.")
    if to.is_dir():
        raise AskedWrongly(f"{to} is a folder; --to must name a file.")
    if not to.absolute().parent.is_dir():
        raise NotFound(f"There is no folder {to.absolute().parent}.", "Make it first.")
    return writers[to.suffix]
