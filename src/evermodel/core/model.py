"""A model: what it expects, how rows become its input, the object itself, what its output means."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.framework import Framework, Needs
from evermodel.core.output import Output
from evermodel.core.table import Array, Table
from evermodel.core.training import Training
from evermodel.core.transform import Transform

LARGE_VALUES = 10.0  # a target spread wider than this is scaled before a network is trained anew on it
BATCH = 65_536  # rows predicted at once: keeps memory flat without slowing anything down


@dataclass(frozen=True)
class Model:
    """One model with all that is needed to use it on cleaned rows. Immutable: a change makes a new one."""

    contract: Contract
    transform: Transform
    obj: Any
    framework: Framework
    output: Output = dataclasses.field(default_factory=Output)

    @property
    def needs(self) -> Needs:
        return self.framework.needs(self.obj)

    def predict(self, frame: pl.DataFrame) -> Array:
        """Cleaned rows -> (n, k) probabilities in the contract's order of classes, or (n,) values."""
        parts = [self._predict(frame[at : at + BATCH]) for at in range(0, max(frame.height, 1), BATCH)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _predict(self, frame: pl.DataFrame) -> Array:
        raw = self.framework.predict(self.obj, self.transform(frame))
        if self.contract.task == "regression":
            return self.output(raw)
        p = self.output(self._aligned(raw))
        missing = len(self.contract.classes) - p.shape[1]  # classes that came after this model was made
        return np.hstack([p, np.zeros((len(p), missing))]) if missing > 0 else p

    def _aligned(self, raw: Array) -> Array:
        """Puts the object's columns where the contract's classes are; a class it never saw gets probability 0."""
        own, classes = self.needs.classes, self.contract.classes
        raw = raw.reshape(len(raw), -1)
        if own is None or tuple(own) == classes or raw.shape[1] == 1 or not set(own) <= set(classes):
            return raw  # in the contract's order already, or codes of it
        full = np.zeros((len(raw), len(classes)))
        full[:, [classes.index(c) for c in own]] = raw
        return full

    def target(self, table: Table) -> Array:
        """(n,) class codes int64, or values float64, of a cleaned table."""
        column = table.frame[self.contract.roles.target or ""]
        return column.to_numpy().astype(np.float64 if self.contract.task == "regression" else np.int64)

    def raw_target(self, table: Table) -> Array:
        """The target in the units of the object's own output: what it is trained on."""
        return self.scaled(self.target(table))

    def scaled(self, y: Array) -> Array:
        """The target (n,) as the object is trained on it: values shifted and divided, class codes as they are."""
        if self.contract.task != "regression":
            return y
        return np.asarray((y - (self.output.shift[0] if self.output.shift else 0.0)) / self.output.scale)

    def with_target_scale(self, y: Array) -> Model:
        """For a network about to be trained anew: large values are trained on as shifted to mean 0 and spread 1.

        Only where no scale was set before. An output that cannot fall below 0 keeps its zero.
        """
        needs, spread = self.needs, float(np.std(y)) if len(y) else 0.0
        if self.contract.task != "regression" or not needs.network or self.output != Output("value"):
            return self
        if spread <= LARGE_VALUES or not np.isfinite(spread):
            return self
        shift = (float(np.mean(y)),) if needs.unbounded else ()
        return dataclasses.replace(self, output=dataclasses.replace(self.output, scale=spread, shift=shift))

    def fitted(self, table: Table, training: Training, *, fresh: bool) -> Model:
        """A new model whose object was trained on ``table``; the transform is kept as it is."""
        y = self.raw_target(table)
        told = dataclasses.replace(
            training,
            classes=self.contract.classes,
            categorical=self.transform.categorical(),
            weight=training.weight if training.weight is not None else _weights(table),
        )
        obj = self.framework.fit(self.obj, self.transform(table.frame), y, told, fresh=fresh)
        return dataclasses.replace(self, obj=obj)


def _weights(table: Table) -> Array | None:
    name = table.roles.weight
    return None if name is None else table.frame[name].to_numpy().astype(np.float64)
