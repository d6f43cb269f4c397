"""Draws the rows of every step before the training begins, and the learning rate of each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evermodel.core.arrays import Array

LEAST_PASS = 64  # draws; a pass over fewer says little


def pass_length(rows: int, sampling: Array | None) -> int:
    """How many draws show the rows about once: all of them, or as many as count where some are drawn more rarely."""
    if sampling is None:
        return rows
    p = np.asarray(sampling, dtype=np.float64)
    return max(LEAST_PASS, int(p.sum() / p.max()))


def index(rows: int, sampling: Array | None, steps: int, batch: int, seed: int) -> Array:
    """(steps, batch) int32 rows: passes one after another, each shuffled, without a shorter last batch.

    With ``sampling`` (rows,) a pass is a systematic sample: each row as often as it is due, rounded up or down.
    """
    random = np.random.default_rng(seed)
    drawn = _passes(rows, sampling, random)
    parts, missing = list[Array](), steps * batch
    while missing > 0:
        part = next(drawn)[:missing]
        parts.append(part)
        missing -= len(part)
    whole = np.concatenate(parts) if parts else np.zeros(0)
    return whole.astype(np.int32).reshape(steps, batch)


def _passes(rows: int, sampling: Array | None, random: np.random.Generator) -> Iterator[Array]:
    if sampling is None:
        while True:
            yield random.permutation(rows)
    due = np.cumsum(np.asarray(sampling, dtype=np.float64))
    length = pass_length(rows, sampling)
    while True:
        at = (random.random() + np.arange(length)) / length * due[-1]
        yield random.permutation(np.minimum(np.searchsorted(due, at, side="right"), rows - 1))


def rates(highest: float, steps: int, decay: bool) -> Array:
    """(steps,) float32: ``highest`` throughout, or for the first half and then straight down to 0."""
    left = 1.0 - np.arange(steps) / max(steps, 1)
    return np.asarray(highest * np.minimum(1.0, 2.0 * left) if decay else np.full(steps, highest), dtype=np.float32)
