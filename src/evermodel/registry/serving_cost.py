"""What a model costs to run: measured, not computed; and whether another fits in its place."""

from __future__ import annotations

import dataclasses
import time
import zlib
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from evermodel.core.model.capabilities import TrainingFiles
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.model import Model
from evermodel.core.records.search_record import COST_LIMIT, ServingCost
from evermodel.core.records.update_record import DropInBreak
from evermodel.core.records.verdict import Cost

ROWS = 1_024  # of one batch
REPEATS = 15
SERVED_ROWS = 1_000  # of the batch whose latency every update states
SERVED_TEXTS = 8  # the same of free text: each answer costs as many passes as it has tokens
MOST_SECONDS = 0.2  # that measuring one latency of two models takes, after the first answers
SLOW = 1.0  # seconds of an answer that is measured once: what else the machine does hardly changes it
TIMED_TOKENS = 8  # of each free text
NOISE = 1.25  # a ratio of latencies measured in so short a time says no more exactly than this


def measure_serving_cost(champion: Model, challenger: Model, frame: pl.DataFrame) -> ServingCost:
    """Latency of one row and of up to 1,000, bytes as saved and inputs, of both models alike. Takes about a second."""
    models = [champion, challenger]
    most = SERVED_TEXTS if champion.contract.task == "text" else SERVED_ROWS
    batch = frame[: min(most, frame.height)]
    one, many = (_measure_latencies(models, rows) for rows in (batch[:1], batch))
    size = _measure_served_size(champion), _measure_served_size(challenger)
    inputs = count_inputs(champion), count_inputs(challenger)
    return ServingCost(many, size, latency_one=one, rows=batch.height, inputs=inputs)


def _measure_latencies(models: list[Model], rows: pl.DataFrame) -> tuple[float, float]:
    """Seconds of each model's fastest answer, as the one least disturbed; taking turns, and again where one is slower.

    The first answers compile and warm caches: they are not counted. Free texts are of one length, so that no model is
    slow because it says more.
    """
    answers = [
        partial(m.write_exactly, rows, TIMED_TOKENS) if m.contract.task == "text" else partial(m.predict, rows)
        for m in models
    ]
    fastest = [float("inf")] * len(models)
    for answer in answers:
        answer()
    for _ in range(2):
        began = time.perf_counter()
        for repeat in range(REPEATS):
            if repeat >= (1 if min(fastest) > SLOW else 3) and time.perf_counter() - began > MOST_SECONDS / 2:
                break
            for at, answer in enumerate(answers):
                start = time.perf_counter()
                answer()
                fastest[at] = min(fastest[at], time.perf_counter() - start)
        if fastest[1] <= COST_LIMIT * fastest[0]:
            break
    return fastest[0], fastest[1]


def _measure_served_size(model: Model) -> int:
    """Bytes of the model's own files without what only a further training needs; of an ensemble of all members."""
    if isinstance(model.obj, Ensemble):
        return sum(map(_measure_served_size, model.obj.members))
    plugin = model.framework
    left_out = plugin.TRAINING_FILES if isinstance(plugin, TrainingFiles) else ()
    with TemporaryDirectory(prefix="evermodel-") as folder:
        plugin.save(model.obj, Path(folder))
        return sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file() and f.name not in left_out)


def count_inputs(model: Model) -> int:
    """Numbers of one row as the model object takes it; columns where it takes them by name."""
    if model.transform.layout == "image":
        return int(np.prod(model.transform.image))
    return len(model.contract.columns) if model.transform.layout == "frame" else model.transform.width


def find_breaks(champion: Model, challenger: Model, cost: ServingCost) -> tuple[DropInBreak, ...]:
    """How the challenger does not fit where the champion stands; nothing where it does."""
    both = champion.signature, challenger.signature
    rows = _bare_transform(champion) != _bare_transform(challenger)
    answers = [dataclasses.replace(m.output, threshold=0.5) for m in (champion, challenger)]
    found = {
        DropInBreak.STRUCTURE: _count_members(challenger) > _count_members(champion),
        DropInBreak.INPUTS: cost.inputs[0] != cost.inputs[1],
        DropInBreak.OUTPUTS: (both[0].outputs or 1) != (both[1].outputs or 1),
        DropInBreak.TRANSFORM: rows and cost.inputs[0] == cost.inputs[1],
        DropInBreak.CORRECTION: answers[0] != answers[1],
        DropInBreak.SIZE: cost.size[0] > 0 and cost.size[1] > COST_LIMIT * cost.size[0],
        DropInBreak.LATENCY: cost.latency[1] > COST_LIMIT * NOISE * cost.latency[0],
    }
    return tuple(kind for kind, is_broken in found.items() if is_broken)


def _bare_transform(model: Model) -> object:
    """What a row has to become: of an ensemble each member's transform."""
    if isinstance(model.obj, Ensemble):
        return tuple(member.transform for member in model.obj.members[:1])
    return (model.transform,)


def _count_members(model: Model) -> int:
    return len(model.obj.members) if isinstance(model.obj, Ensemble) else 1


def costs_of(models: list[Model], frame: pl.DataFrame, rows: int = ROWS, repeats: int = REPEATS) -> list[Cost]:
    """Median seconds of one batch of up to ``rows`` rows, from cleaned rows to predictions, and bytes as saved.

    The models take turns, so that what else the machine does falls on all of them alike; CPU time of this process, so
    that it hardly falls on any. The first predictions, which compile and warm caches, are not counted.
    """
    is_text = bool(models) and models[0].contract.task == "text"
    batch = frame[: min(SERVED_TEXTS if is_text else rows, frame.height)]
    taken: list[list[float]] = [[] for _ in models]
    for repeat in range(repeats + 2):
        for seconds, model in zip(taken, models, strict=True):
            began = time.process_time()
            if is_text:
                model.write_exactly(batch, TIMED_TOKENS)
            else:
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


def measure_compressed_size(cost: Cost, model: Model) -> Cost:
    """The same cost with the bytes of the model's files as an archive would hold them."""
    with TemporaryDirectory(prefix="evermodel-") as folder:
        model.framework.save(model.obj, Path(folder))
        packed = sum(len(zlib.compress(f.read_bytes(), 6)) for f in Path(folder).rglob("*") if f.is_file())
    return dataclasses.replace(cost, size=packed)
