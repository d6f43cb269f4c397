"""A model: what it expects, how rows become its input, the object itself, what its output means."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.table import Table
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import TextWriting
from evermodel.core.model.framework import Framework, Signature
from evermodel.core.model.output import Output
from evermodel.core.model.several_outputs import read_others, select_head, stack_targets, take_primary
from evermodel.core.model.training import Training
from evermodel.core.model.transform import Transform
from evermodel.core.model.value_transforms import transform_target

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
    def signature(self) -> Signature:
        needs = self.framework.read_signature(self.obj)
        return needs if not self.contract.outputs else select_head(needs, self.contract.outputs)

    def predict(self, frame: pl.DataFrame) -> Array:
        """Cleaned rows -> (n, k) probabilities in the contract's order of classes, (n,) values, or (n,) texts."""
        parts = [self._predict(frame[at : at + BATCH]) for at in range(0, max(frame.height, 1), BATCH)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def answer_rows(self, table: Table) -> Array:
        """What metrics compare with ``target``: predictions; of free text (n, 3), the nats of the reference answer,
        whether the model's own answer is the same, and the F1 of their words.
        """
        if self.contract.task != "text":
            return self.predict(table.frame)
        from evermodel.core.data.answer_texts import match_answers

        x, references = self.transform(table.frame), self._references(table)
        written = self._writer.write_answers(self.obj, x, again=True)
        return np.column_stack([self.measure_references(table)[:, 0], match_answers(written, references)])

    def write_exactly(self, frame: pl.DataFrame, tokens: int) -> None:
        """Writes so many tokens of free text for each cleaned row: what that costs depends on no answer's length."""
        self._writer.write_answers(self.obj, self.transform(frame), exactly=tokens)

    def measure_references(self, table: Table) -> Array:
        """(n, 2) nats and tokens of the reference answers of free text."""
        return self._writer.measure_answers(self.obj, self.transform(table.frame), self._references(table))

    def _references(self, table: Table) -> list[str]:
        return [str(text or "") for text in table.frame[self.contract.roles.target or ""].to_list()]

    @property
    def _writer(self) -> TextWriting:
        if not isinstance(self.framework, TextWriting):
            raise BadModel("This model does not answer with free text.", "Adopt it for another task.")
        return self.framework

    def _predict(self, frame: pl.DataFrame) -> Array:
        if self.contract.task == "text":
            return np.array(self._writer.write_answers(self.obj, self.transform(frame)), dtype=object)
        raw = self.framework.predict(self.obj, self.transform(frame))
        if self.contract.outputs:
            raw = take_primary(raw, self.contract.outputs)
        if self.contract.task == "regression":
            return self.output(raw)
        p = self.output(self.align(raw))
        missing = len(self.contract.classes) - p.shape[1]  # classes that came after this model was made
        return np.hstack([p, np.zeros((len(p), missing))]) if missing > 0 else p

    def predict_others(self, frame: pl.DataFrame) -> dict[str, Array]:
        """The answers that are not judged, by target column: (n, k) probabilities, or (n,) values. Cleaned rows."""
        raw = self.framework.predict(self.obj, self.transform(frame))
        return read_others(raw, self.contract.outputs)

    def align(self, raw: Array) -> Array:
        """Puts the object's columns where the contract's classes are; a class it never saw gets probability 0."""
        own, classes = self.signature.classes, self.contract.classes
        raw = raw.reshape(len(raw), -1)
        if own is None or tuple(own) == classes or raw.shape[1] == 1 or not set(own) <= set(classes):
            return raw  # in the contract's order already, or codes of it
        full = np.full((len(raw), len(classes)), -np.inf if self.output.kind == "logit" else 0.0)
        full[:, [classes.index(c) for c in own]] = raw
        return full

    def target(self, table: Table) -> Array:
        """(n,) class codes int64, values float64, or tokens of each reference answer float64, of a cleaned table."""
        if self.contract.task == "text":
            return np.asarray(self.measure_references(table)[:, 1])
        column = table.frame[self.contract.roles.target or ""]
        return column.to_numpy().astype(np.float64 if self.contract.task == "regression" else np.int64)

    def raw_target(self, table: Table) -> Array:
        """The target in the units of the object's own output: what it is trained on. (n, k) of k answers; or texts."""
        if self.contract.task == "text":
            return np.array(self._references(table), dtype=object)
        y = self.scale_target(self.target(table))
        return y if not self.contract.outputs else stack_targets(y, table.frame, self.contract.outputs)

    def scale_target(self, y: Array) -> Array:
        """The target (n,) as the object is trained on it: values transformed, shifted and divided; class codes as they
        are. Raises BadData for a value that the model's target transform does not take.
        """
        if self.contract.task != "regression":
            return y
        shift = self.output.shift[0] if self.output.shift else 0.0
        return np.asarray((transform_target(self.output.target_transform, y) - shift) / self.output.scale)

    def with_target_scale(self, y: Array) -> Model:
        """For a network about to be trained anew: large values are trained on as shifted to mean 0 and spread 1.

        Only where no scale was set before. An output that cannot fall below 0 keeps its zero.
        """
        needs, kind = self.signature, self.output.target_transform
        unscaled = self.output == Output("value", target_transform=kind)
        if self.contract.task != "regression" or not needs.network or not unscaled or self.contract.outputs:
            return self
        y = transform_target(kind, y)
        spread = float(np.std(y)) if len(y) else 0.0
        if spread <= LARGE_VALUES or not np.isfinite(spread):
            return self
        shift = (float(np.mean(y)),) if needs.unbounded else ()
        return dataclasses.replace(self, output=dataclasses.replace(self.output, scale=spread, shift=shift))

    def fit(self, table: Table, training: Training, *, from_scratch: bool) -> Model:
        """A new model whose object was trained on ``table``; the transform is kept as it is."""
        y = self.raw_target(table)
        completed = dataclasses.replace(
            training,
            classes=self.contract.classes,
            categorical=self.transform.categorical(),
            weight=training.weight if training.weight is not None else _weights(table),
        )
        obj = self.framework.fit(self.obj, self.transform(table.frame), y, completed, from_scratch=from_scratch)
        return dataclasses.replace(self, obj=obj)


def _weights(table: Table) -> Array | None:
    name = table.roles.weight
    return None if name is None else table.frame[name].to_numpy().astype(np.float64)
