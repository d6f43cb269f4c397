"""Answers of a classifier."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._transformers.classifier import Classifier
from evermodel.plugins.frameworks._transformers.input_readers import InputReader


def predict(model: Classifier, x: Any) -> Array:
    """(n, k) float32 scores before a softmax, or (n, 1) values, of a frame with one column of texts or pictures."""
    return score_rows(model.network.eval(), model.reader, model.reader.read(x), model.outputs)


def score_rows(network: Any, reader: InputReader, rows: Sequence[Any], outputs: int) -> Array:
    """(n, k) float32 of a network in evaluation mode."""
    import torch

    found = np.empty((len(rows), outputs), np.float32)
    with torch.inference_mode():
        for at in reader.split(rows, reader.rows_at_once):
            found[at] = compute_scores(network, reader.batch([rows[i] for i in at])).float().numpy()
    return found


def compute_scores(network: Any, batch: dict[str, Any]) -> Any:
    """The network's scores (n, k), by those of the inputs that it takes."""
    taken = inspect.signature(network.forward).parameters
    return network(**{name: tensor for name, tensor in batch.items() if name in taken}).logits
