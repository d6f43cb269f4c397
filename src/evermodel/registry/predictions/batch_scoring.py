"""Batch scoring of what does not fit in memory: part by part, each on disk before the next, so that it can go on."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.cleaning import clean_in_batches
from evermodel.core.data.scan import as_path, scan
from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.files import disk_space, write_text, write_whole
from evermodel.core.model.model import Model
from evermodel.registry.lookup import card_of, open_store
from evermodel.registry.prediction import ID_NAMES, clean_rows, predict_batch
from evermodel.registry.results import Result
from evermodel.registry.versions import load_version

logger = logging.getLogger(__name__)
PART_ROWS = 262_144
PLAN = "plan.json"
SUFFIXES = (".parquet", ".csv", ".jsonl")


@dataclass(frozen=True)
class ScoreResult(Result):
    """How many rows were scored, and where the predictions are."""

    name: str
    version: str
    rows: int
    to: str
    resumed_rows: int  # of these, scored by a run before that was interrupted
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """The rows, the version and the file."""
        resumed = f" ({self.resumed_rows:,} by a run before)" if self.resumed_rows else ""
        speed = f"{(self.rows - self.resumed_rows) / max(self.seconds, 1e-9):,.0f} rows/s"
        return [
            f"{self.name} {self.version}: {self.rows:,} rows scored{resumed} in {self.seconds:.1f} s, {speed}",
            f"  {self.to}: {', '.join(self.columns)}",
            *(f"  note: {note}" for note in self.notes),
        ]


def score(
    name: str,
    data: Any,
    *,
    to: str | Path,
    version: str | None = None,
    accept: tuple[str, ...] = (),
    restart: bool = False,
    registry: str | Path | None = None,
) -> ScoreResult:
    """Predict rows that do not fit in memory, and go on where an interrupted run stopped.

    Predictions are written in parts beside ``to``, in the folder ``.TO.parts``; each part is on disk before the next is
    predicted. The same call again continues with the version that it began with. At the end the parts become ``to``,
    which appears whole or not at all. Every row of ``data`` has its row there, in the same order.

    Args:
        name: the name of the model.
        data: a file, folder or SQL URL of rows.
        to: the file to write: .parquet, .csv or .jsonl.
        version: the version to predict with; by default the one in service when it begins.
        accept: differences from the contract to accept, for example ``("unit:price",)``.
        restart: forget what an interrupted run scored, and begin anew.
        registry: the location of the registry.

    Raises:
        BadSetting: ``to`` has another suffix.
        AskedWrongly: an interrupted run scored other rows, or with another version, into the same file.
        ContractBroken: the rows do not fit what the model expects.
        OutOfSpace: the disk is full; the same call continues when there is space.

    Example:
        $ evermodel score churn customers.parquet --to scored.parquet
    """
    began = time.monotonic()
    target = _check_target(Path(to))
    store = open_store(registry)
    parts = target.parent / f".{target.name}.parts"
    if restart:
        shutil.rmtree(parts, ignore_errors=True)
    source = _identify(data)
    plan = _read_plan(parts)
    if plan is not None and not _is_same_run(plan, name, source, version):
        raise AskedWrongly(
            f"{parts} holds an interrupted run with {plan['name']} {plan['version']}, of other rows or version.",
            "Give it the same rows and version to go on, or `restart` to begin anew.",
        )
    card = card_of(store, name, version if plan is None else plan["version"])
    model = load_version(store, card)
    frame = scan(data, model.contract.row_format)
    names = frame.collect_schema().names()
    ids = tuple(c for c in ID_NAMES if c in names and c not in model.contract.names)[:1]
    cleaned = clean_rows(model, frame, accept, labelled=False, keep=ids)
    if plan is None:
        parts.mkdir(parents=True, exist_ok=True)
        begun = {"name": name, "version": card.version, "source": source}
        write_text(parts / PLAN, json.dumps(begun))
    resumed = done = _count_rows(parts)
    rest = dataclasses.replace(cleaned, frame=cleaned.frame.slice(done)) if done else cleaned
    for part in _predict_parts(model, clean_in_batches(rest), ids, done) if done < cleaned.rows else ():
        write_whole(parts / f"{done:015d}.parquet", part.write_parquet)
        done += part.height
        logger.info("%s: %d of %d rows are scored.", name, done, cleaned.rows)
    columns = _assemble(parts, target)
    shutil.rmtree(parts)
    seconds = time.monotonic() - began
    return ScoreResult(name, card.version, done, str(target), resumed, columns, cleaned.notes, seconds)


def _is_same_run(plan: dict[str, Any], name: str, source: list[Any], version: str | None) -> bool:
    return plan["source"] == source and plan["name"] == name and version in (None, plan["version"])


def _predict_parts(
    model: Model, batches: Iterator[pl.DataFrame], ids: tuple[str, ...], offset: int
) -> Iterator[pl.DataFrame]:
    """Predictions in parts of ``PART_ROWS`` rows or a few more."""
    held: list[pl.DataFrame] = []
    height = 0
    for batch in batches:
        predicted = predict_batch(model, batch, ids)
        held.append(predicted if ids else predicted.with_row_index("row", offset=offset + height))
        height += batch.height
        if height >= PART_ROWS:
            yield pl.concat(held)
            held, offset, height = [], offset + height, 0
    if held:
        yield pl.concat(held)


def _check_target(target: Path) -> Path:
    if target.suffix not in SUFFIXES:
        raise BadSetting(f"`to` must end in {', '.join(SUFFIXES)}. Got {target.name!r}.")
    if target.is_dir():
        raise AskedWrongly(f"`to` must name a file. Got the folder {target}.")
    if not target.absolute().parent.is_dir():
        raise NotFound(f"There is no folder {target.absolute().parent}.", "Create it first.")
    return target


def _identify(data: Any) -> list[Any]:
    """What says that the rows are those of the run before: names, sizes and times of the files, or the query."""
    path = as_path(data)
    if path is None:
        if not isinstance(data, str):
            raise AskedWrongly("Only rows in files or behind a URL are scored in parts.", "Use predict for a frame.")
        return [data]
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path] if path.is_file() else []
    return [str(path.absolute()), *([str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files)]


def _read_plan(parts: Path) -> dict[str, Any] | None:
    try:
        plan: dict[str, Any] = json.loads((parts / PLAN).read_text())
        return plan
    except (OSError, ValueError):
        return None


def _list_parts(parts: Path) -> list[Path]:
    return sorted(parts.glob("*.parquet"))


def _count_rows(parts: Path) -> int:
    files = _list_parts(parts)
    return int(pl.scan_parquet(files).select(pl.len()).collect().item()) if files else 0


def _assemble(parts: Path, target: Path) -> tuple[str, ...]:
    """The parts as one file, row group by row group; its columns."""
    rows = pl.scan_parquet(_list_parts(parts))
    writers: dict[str, Callable[[Path], object]] = {
        ".parquet": lambda at: rows.sink_parquet(at),
        ".csv": lambda at: rows.sink_csv(at),
        ".jsonl": lambda at: rows.sink_ndjson(at),
    }
    with disk_space(target):
        write_whole(target, writers[target.suffix])
    return tuple(rows.collect_schema().names())
