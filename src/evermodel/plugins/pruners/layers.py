"""Take whole layers out of a deep network of equal layers, then train what is left."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.recovery_training import Teaching, select_training_rows, train_recovery
from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import LayerRemoval
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In
from evermodel.core.stats.metric import METRICS
from evermodel.judging.task_metrics import PROPER_SCORE

__all__ = ["layers"]

MOST_ROWS = 1_000  # on which a layer's importance is measured


def layers(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    ratio: Annotated[float, In(0.0, 0.99)] = 0.5,
    epochs: Annotated[int, In(1, 10_000)] = 6,
    teaching: Teaching = "auto",
    recover: bool = True,
) -> Model:
    """Remove the share ``ratio`` of the layers, those whose absence costs the least; then train all that is left.

    For pretrained text networks and language models. What each layer is worth is measured: the loss without it, on up
    to 1,000 of ``data.tuning_rows`` (else of the training rows), which takes one prediction of these a layer. Time
    falls with the number of layers, size less, because embeddings stay. ``teaching``: the recovery learns the parent's
    answers, the labels, or whichever is better on ``data.tuning_rows``. It costs one or two trainings of ``epochs``;
    ``recover=false`` none, and loses accuracy. Raises BadModel for networks without such layers; NoData.

        $ evermodel prune intents new.parquet --with layers --ratio 0.5

    Source: https://arxiv.org/abs/2402.02834 (Shortened LLaMA)
    """
    parent = parents[0]
    plugin = parent.framework
    if not isinstance(plugin, LayerRemoval):
        kind = plugin.__name__.rsplit(".", 1)[-1]
        raise BadModel(f"Layers can be taken out of pretrained text networks. Got a {kind} model.", "Use 'auto'.")
    count = plugin.count_layers(parent.obj)
    if not round(ratio * count):
        return parent
    rows = data.tuning_rows if data.tuning_rows is not None and len(data.tuning_rows) else select_training_rows(data)
    loss = measure_layers(parent, rows, context.seed)
    away = min(round(ratio * count), count - 1, int(np.isfinite(loss).sum()))
    least = sorted(int(place) for place in np.argsort(loss, kind="stable")[:away])
    smaller = dataclasses.replace(parent, obj=plugin.remove_layers(parent.obj, least))
    if not recover:
        return smaller
    return train_recovery(smaller, parent, data, context, epochs=epochs, teaching=teaching)


def measure_layers(model: Model, rows: Table, seed: int) -> Array:
    """(layers,) the loss without each layer, on at most MOST_ROWS of the rows: log loss, or -R2; infinite for one
    that must stay. A proper score tells layers apart that an accuracy on few rows does not.
    """
    plugin = model.framework
    assert isinstance(plugin, LayerRemoval)  # noqa: S101  # its only caller has asked
    if len(rows) > MOST_ROWS:
        rows = rows.rows(np.sort(np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False)))
    name, y = PROPER_SCORE[model.contract.task], model.target(rows)
    metric, sign = METRICS.load(name), -1.0 if METRICS.load_module(name).HIGHER_IS_BETTER else 1.0

    def measure(place: int) -> float:
        try:
            shorter = dataclasses.replace(model, obj=plugin.remove_layers(model.obj, [place]))
        except BadModel:  # without this one the rest is no network of its architecture
            return float("inf")
        return sign * float(metric(y, _answer(shorter, rows)))

    return np.array([measure(place) for place in range(plugin.count_layers(model.obj))])


def _answer(model: Model, rows: Table) -> Array:
    """What the proper score needs: predictions; of free text the nats of the reference answers, nothing is written."""
    if model.contract.task != "text":
        return model.predict(rows.frame)
    nats = model.measure_references(rows)[:, :1]
    return np.pad(nats, ((0, 0), (0, 2)))
