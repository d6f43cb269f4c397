"""What a model predicts and how its target must look: read from its last activation and its loss."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.task import Task
from evermodel.core.errors import BadModel
from evermodel.core.model.framework import InputColumn, Layout, Signature
from evermodel.plugins.frameworks._keras import feeding

Target = Literal["one", "sparse", "hot"]  # (n, 1) float, (n,) codes, (n, k) one-hot
# Parts of the names of layers that represent text, sequences or pictures.
REPRESENTATIONS = ("Embedding", "LSTM", "GRU", "RNN", "Bidirectional", "Attention", "Conv", "Encoder", "Decoder")
STATISTICS = (
    "Normalization",
    "BatchNormalization",
    "LayerNormalization",
    "Dropout",
    "GaussianNoise",
)
_SHORT = {
    "bce": "binary_crossentropy",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}


def loss_name(model: Any) -> str | None:
    """The loss in snake_case ("binary_crossentropy"), or None when the model is not compiled with a single loss."""
    loss = getattr(model, "loss", None)
    if loss is None or isinstance(loss, (list, tuple, dict)):
        return None
    return name_loss(loss)


def name_loss(loss: Any) -> str:
    """One loss in snake_case, by its whole name."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _SHORT.get(snake, snake)


def full_name(loss: Any) -> Any:
    """The loss with its whole name where it was given by a short one: plain Keras cannot read "mse" from an ``.h5``."""
    if isinstance(loss, dict):
        return {output: full_name(one) for output, one in loss.items()}
    if isinstance(loss, (list, tuple)):
        return [full_name(one) for one in loss]
    return _SHORT.get(loss, loss) if isinstance(loss, str) else loss


def from_logits(model: Any) -> bool:
    """Whether the loss itself says that it takes logits."""
    loss = getattr(model, "loss", None)
    config = loss.get_config() if loss is not None and hasattr(loss, "get_config") else {}
    return bool(config.get("from_logits", False))


def last_activation(model: Any) -> str:
    """Name of the function that makes the output: "sigmoid", "softmax", "linear", …"""
    return name_activation(model.layers[-1])


def name_activation(layer: Any) -> str:
    """Name of the function that a layer, or the last layer inside of it, ends with."""
    while hasattr(layer, "layers") and layer.layers:
        layer = layer.layers[-1]
    if type(layer).__name__ == "Softmax":
        return "softmax"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else str(getattr(activation, "__name__", type(activation).__name__)).lower()


def signature(model: Any) -> Signature:
    """Shape of one row, named inputs, width and meaning of the output, and of each of several answers."""
    from evermodel.plugins.frameworks._keras import heads

    several = heads.has_several(model)
    answers = heads.list_heads(model) if several or single_output(model) > 1 else ()
    shape = feeding.get_row_spec(model)[0][1:]
    width = sum(head.width for head in answers) if several else single_output(model)
    activation, loss = last_activation(model), loss_name(model) or ""
    task: Task | None = None
    output: Literal["probability", "logit", "value"] = "value"
    if several:
        pass  # each head says what it is
    elif activation in ("sigmoid", "softmax"):
        output = "probability"
        regression = loss.startswith("mean_") or loss in ("huber", "log_cosh")
        if activation == "softmax":
            task = "binary" if width == 2 else "multiclass"
        elif width == 1 and not regression:
            task = "binary"
        elif "categorical" in loss:
            task = "multiclass"
    elif from_logits(model) and "crossentropy" in loss:
        output, task = "logit", "binary" if width <= 2 else "multiclass"
    elif width == 1 and "crossentropy" not in loss and "hinge" not in loss:
        task = "regression"
    layout: Layout = "image" if len(shape) == 3 else "matrix"
    known = None if None in shape else tuple(int(d) for d in shape if d is not None)
    texts: dict[int, InputColumn] = {}
    if feeding.takes_text(model):
        layout, known = "frame", (math.prod(known or (1,)),)
        texts = {at: InputColumn("text") for at in range(known[0])}
    return Signature(
        layout=layout,
        shape=known,
        inputs=feeding.list_tensors(model),
        columns=texts,
        heads=answers,
        task=task,
        outputs=None if several else width,
        output=output,
        network=True,
        pretrained=is_pretrained(model),
        unbounded=activation == "linear",
    )


def is_pretrained(model: Any) -> bool:
    """Whether it holds layers that few rows cannot teach anew: of text, sequences, pictures, or frozen ones."""
    layers = list(model._flatten_layers(include_self=False))
    kinds = [type(layer).__name__ for layer in layers]
    if any(word in kind for kind in kinds for word in REPRESENTATIONS):
        return True
    return any(not e.trainable and e.weights and k not in STATISTICS for e, k in zip(layers, kinds, strict=True))


def single_input(model: Any) -> tuple[int | None, ...]:
    """Shape of one row of x. Raises BadModel if the model has several inputs."""
    if len(model.inputs) != 1:
        raise BadModel(
            f"A model must have one input. Got {len(model.inputs)}: {[i.name for i in model.inputs]}.",
            "Join the inputs into one array and slice it inside the model.",
        )
    return tuple(model.inputs[0].shape[1:])


def single_output(model: Any) -> int:
    """Width of the prediction. Raises BadModel if the model has several outputs or one that is no row of numbers."""
    if len(model.outputs) != 1 or len(model.outputs[0].shape) > 2:
        shapes = [tuple(o.shape) for o in model.outputs]
        raise BadModel(
            f"A model must give one row of numbers for a row. Got outputs of shape {shapes}.",
            "Keep one Dense head, or Flatten before it.",
        )
    shape = tuple(model.outputs[0].shape)
    return int(str(shape[1] or 1)) if len(shape) == 2 else 1


def default_loss(model: Any, classes: int) -> Any:
    """A loss for a model that carries none, chosen by its output; ``classes`` is 0 for regression."""
    import keras

    if len(model.outputs) > 1:
        from evermodel.plugins.frameworks._keras import heads

        return heads.make_losses(model)
    if not classes:
        return "mean_squared_error"
    activation = last_activation(model)
    if single_output(model) == 1:
        return keras.losses.BinaryCrossentropy(from_logits=activation != "sigmoid")
    return keras.losses.SparseCategoricalCrossentropy(from_logits=activation != "softmax")


def target_kind(model: Any) -> Target:
    """How the compiled loss wants its target."""
    if "sparse" in (loss_name(model) or ""):
        return "sparse"
    return "one" if single_output(model) == 1 else "hot"


def target(model: Any, y: Array, classes: int) -> Array:
    """Codes (n,) 0 … k-1 or numbers (n,) as the loss takes them. Raises BadModel where the output is too narrow."""
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        from evermodel.plugins.frameworks._keras import heads

        return heads.make_targets(model, np.asarray(y))
    width, kind = single_output(model), target_kind(model)
    if classes > max(width, 2) or (classes and kind == "sparse" and classes > width):
        raise BadModel(f"The model has {width} outputs for {classes} classes.", "Widen it first.")
    if kind == "sparse":
        return np.ascontiguousarray(y, dtype=np.int32)
    if classes and kind == "hot":
        hot = np.zeros((len(y), width), dtype=np.float32)
        hot[np.arange(len(y)), np.asarray(y, dtype=np.int64)] = 1.0
        return hot
    return np.ascontiguousarray(np.asarray(y, dtype=np.float32).reshape(len(y), -1))


def score(prediction: Array, y: Array, classes: int, logit: bool) -> float | None:
    """Accuracy for classes, R2 for numbers; ``prediction`` (n, k) or (n, 1), ``y`` codes or numbers (n,).

    None of targets (n, k) of several answers: they have no one score.
    """
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        return None
    if not classes:
        y = y.reshape(len(y), -1).astype(np.float64)
        spread = float(((y - y.mean(0)) ** 2).sum())
        error = float(((prediction.reshape(y.shape) - y) ** 2).sum())
        return 1.0 - error / spread if spread else 0.0
    wide = prediction.reshape(len(prediction), -1)
    guess = wide.argmax(1) if wide.shape[1] > 1 else (wide[:, 0] > (0.0 if logit else 0.5))
    return float((guess == y).mean())
