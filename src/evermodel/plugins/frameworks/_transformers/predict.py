"""Answers of a text classifier."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.plugins.frameworks._transformers.classifier import TextClassifier
from evermodel.plugins.frameworks._transformers.text_tokens import in_batches

ROWS = 64  # texts in one forward pass: more gain nothing on a processor


def predict(model: TextClassifier, x: Any) -> Array:
    """(n, k) float32 scores before a softmax, or (n, 1) values, of a frame with one column of texts."""
    network, encoded = model.network.eval(), model.tokens.encode(read_texts(x))
    found = np.empty((len(encoded), model.outputs), np.float32)
    for at in in_batches(encoded, ROWS):
        found[at] = score_tokens(network, model.tokens.batch([encoded[i] for i in at]))
    return found


def score_tokens(network: Any, batch: dict[str, Any]) -> Array:
    import torch

    with torch.inference_mode():
        return np.asarray(compute_scores(network, batch).float().numpy())


def compute_scores(network: Any, batch: dict[str, Any]) -> Any:
    """The network's scores (n, k), by those of the inputs that it takes."""
    taken = inspect.signature(network.forward).parameters
    return network(**{name: tensor for name, tensor in batch.items() if name in taken}).logits


def read_texts(x: Any) -> list[str | None]:
    """The texts of the frame's only column. Raises BadData for more columns."""
    if len(x.columns) != 1:
        raise BadData(f"The model reads one text; the rows have {len(x.columns)} columns: {', '.join(x.columns[:8])}.")
    return [None if text is None else str(text) for text in x.to_series().to_list()]
