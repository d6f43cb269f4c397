"""What a model costs to run: measured, not computed."""

from __future__ import annotations

import dataclasses
import time
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from evermodel.core.judgement import Cost
from evermodel.core.model import Model

ROWS = 1_024  # of one batch
REPEATS = 15


def costs_of(models: list[Model], frame: pl.DataFrame, rows: int = ROWS, repeats: int = REPEATS) -> list[Cost]:
    """Median seconds of one batch of up to ``rows`` rows, from cleaned rows to predictions, and bytes as saved.

    The models take turns, so that what else the machine does falls on all of them alike; CPU time of this process, so
    that it hardly falls on any. The first predictions, which compile and warm caches, are not counted.
    """
    batch = frame[: min(rows, frame.height)]
    taken: list[list[float]] = [[] for _ in models]
    for repeat in range(repeats + 2):
        for seconds, model in zip(taken, models, strict=True):
            began = time.process_time()
            model.predict(batch)
            if repeat >= 2:
                seconds.append(time.process_time() - began)
    return [
        Cost(float(np.median(seconds)), batch.height, size_of(model))
        for seconds, model in zip(taken, models, strict=True)
    ]


def size_of(model: Model) -> int:
    """Bytes of the model's own files, without its contract and transform."""
    with TemporaryDirectory(prefix="evermodel-") as folder:
        model.framework.save(model.obj, Path(folder))
        return sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())


def compressed(cost: Cost, model: Model) -> Cost:
    """The same cost with the bytes of the model's files as an archive would hold them."""
    with TemporaryDirectory(prefix="evermodel-") as folder:
        model.framework.save(model.obj, Path(folder))
        packed = sum(len(zlib.compress(f.read_bytes(), 6)) for f in Path(folder).rglob("*") if f.is_file())
    return dataclasses.replace(cost, size=packed)
