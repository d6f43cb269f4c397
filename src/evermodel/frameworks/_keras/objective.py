"""What a model predicts and how its target must look: read from its last activation and its loss."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.core.framework import Needs, Task
from evermodel.core.table import Array

Target = Literal["one", "sparse", "hot"]  # (n, 1) float, (n,) codes, (n, k) one-hot
_SHORT = {
    "bce": "binary_crossentropy", "mse": "mean_squared_error", "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error", "msle": "mean_squared_logarithmic_error",
}  # fmt: skip


def loss_name(model: Any) -> str | None:
    """The loss in snake_case ("binary_crossentropy"), or None when the model is not compiled with a single loss."""
    loss = getattr(model, "loss", None)
    if loss is None or isinstance(loss, (list, tuple, dict)):
        return None
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _SHORT.get(snake, snake)


def full_name(loss: Any) -> Any:
    """The loss with its whole name where it was given by a short one: plain Keras cannot read "mse" from an ``.h5``."""
    return _SHORT.get(loss, loss) if isinstance(loss, str) else loss


def from_logits(model: Any) -> bool:
    """Whether the loss itself says that it takes logits."""
    loss = getattr(model, "loss", None)
    config = loss.get_config() if loss is not None and hasattr(loss, "get_config") else {}
    return bool(config.get("from_logits", False))


def last_activation(model: Any) -> str:
    """Name of the function that makes the output: "sigmoid", "softmax", "linear", …"""
    layer = model.layers[-1]
    while hasattr(layer, "layers") and layer.layers:
        layer = layer.layers[-1]
    if type(layer).__name__ == "Softmax":
        return "softmax"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else str(getattr(activation, "__name__", type(activation).__name__)).lower()


def needs(model: Any) -> Needs:
    """Shape of one row, width and meaning of the output. Raises BadModel for several inputs or outputs."""
    shape, width = single_input(model), single_output(model)
    activation, loss = last_activation(model), loss_name(model) or ""
    task: Task | None = None
    output: Literal["probability", "logit", "value"] = "value"
    if activation in ("sigmoid", "softmax"):
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
    layout: Literal["matrix", "image"] = "image" if len(shape) == 3 else "matrix"
    known = None if None in shape else tuple(int(d) for d in shape if d is not None)
    return Needs(
        layout=layout, shape=known, task=task, outputs=width, output=output, network=True,
        unbounded=activation == "linear",
    )  # fmt: skip


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
        raise BadModel(f"A model must give one row of numbers for a row. Got outputs of shape {shapes}.",
                       "Keep one Dense head, or Flatten before it.")  # fmt: skip
    shape = tuple(model.outputs[0].shape)
    return int(str(shape[1] or 1)) if len(shape) == 2 else 1


def default_loss(model: Any, classes: int) -> Any:
    """A loss for a model that carries none, chosen by its output; ``classes`` is 0 for regression."""
    import keras

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


def score(prediction: Array, y: Array, classes: int, logit: bool) -> float:
    """Accuracy for classes, R2 for numbers; ``prediction`` (n, k) or (n, 1), ``y`` codes or numbers (n,)."""
    if not classes:
        y = y.reshape(len(y), -1).astype(np.float64)
        spread = float(((y - y.mean(0)) ** 2).sum())
        error = float(((prediction.reshape(y.shape) - y) ** 2).sum())
        return 1.0 - error / spread if spread else 0.0
    wide = prediction.reshape(len(prediction), -1)
    guess = wide.argmax(1) if wide.shape[1] > 1 else (wide[:, 0] > (0.0 if logit else 0.5))
    return float((guess == y).mean())
