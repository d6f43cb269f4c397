"""Answers of a classifier."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
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


def embed_texts(model: Classifier, texts: Sequence[str]) -> Array:
    """(n, d) float32 mean of the last hidden states over each text's tokens. Raises BadModel where there are none."""
    import polars as pl
    import torch

    network, reader = model.network.eval(), model.reader
    rows = reader.read(pl.DataFrame({"text": texts}, schema={"text": pl.String}))
    found: dict[int, Array] = {}
    with torch.inference_mode():
        for at in reader.split(rows, reader.rows_at_once):
            batch = reader.batch([rows[i] for i in at])
            states = network(**select_inputs(network, batch), output_hidden_states=True).hidden_states
            if not states:
                raise BadModel("This network does not give its hidden states.")
            inside = batch["attention_mask"][..., None].to(states[-1].dtype)
            mean = (states[-1] * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
            found |= dict(zip(at.tolist(), mean.float().numpy(), strict=True))
    return np.stack([found[i] for i in range(len(rows))]) if found else np.zeros((0, 0), np.float32)


def compute_scores(network: Any, batch: dict[str, Any]) -> Any:
    """The network's scores (n, k), by those of the inputs that it takes."""
    return network(**select_inputs(network, batch)).logits


def select_inputs(network: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """The tensors of a batch that the network takes."""
    taken = inspect.signature(network.forward).parameters
    return {name: tensor for name, tensor in batch.items() if name in taken}
