"""A model of several answers: one of them is judged, all are trained and shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.model.framework import Signature
from evermodel.core.model.output import Output
from evermodel.core.records.model_signature import NamedOutput


def find_primary(outputs: Sequence[NamedOutput]) -> NamedOutput:
    """The answer that is judged."""
    return next(output for output in outputs if output.primary)


def select_head(needs: Signature, outputs: Sequence[NamedOutput]) -> Signature:
    """The signature as of a model that gives the judged answer alone."""
    head = needs.heads[outputs.index(find_primary(outputs))]
    return dataclasses.replace(
        needs,
        task=head.task,
        outputs=head.width,
        output=head.output,
        unbounded=head.unbounded,
        classes=head.classes or None,
    )


def take_primary(raw: Array, outputs: Sequence[NamedOutput]) -> Array:
    """The judged answer's numbers (n, k) of a raw output that holds those of all answers."""
    output = find_primary(outputs)
    return np.asarray(raw)[:, output.start : output.stop]


def read_others(raw: Array, outputs: Sequence[NamedOutput]) -> dict[str, Array]:
    """Target column -> probabilities (n, k) or values (n,) of each answer that is not judged."""
    return {o.target: Output(o.kind)(np.asarray(raw)[:, o.start : o.stop]) for o in outputs if not o.primary}


def stack_targets(primary: Array, frame: pl.DataFrame, outputs: Sequence[NamedOutput]) -> Array:
    """(n, answers) float64: what each answer is trained on, in the outputs' order; codes of classes, or numbers."""
    columns = [primary if output.primary else frame[output.target].to_numpy() for output in outputs]
    return np.stack([np.asarray(column, dtype=np.float64).reshape(frame.height) for column in columns], axis=1)
