"""Several answers of one network: its named outputs, or the units of one output that each answer for themselves.

Answers lie flat, (n, numbers of all outputs), and so do the targets; they are cut by output where a loss is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.task import NumericTask
from evermodel.core.errors import BadModel
from evermodel.core.model.framework import OutputHead
from evermodel.plugins.frameworks._keras.training import objective


def has_several(model: Any) -> bool:
    """Whether the network has more than one named output."""
    return len(model.outputs) > 1


def list_heads(model: Any) -> tuple[OutputHead, ...]:
    """What each answer is, in the order in which they lie; empty for a network of one answer.

    An output whose units are no classes of one question, such as sigmoids or several numbers, has a head for each.
    """
    found = []
    for place, (name, width) in enumerate(zip(_name_outputs(model), _measure_widths(model), strict=True)):
        activation, loss = _find_activation(model, place), _find_loss(model, place)
        if width > 1 and is_one_question(activation, loss):
            task: NumericTask = "binary" if width == 2 else "multiclass"
            found.append(OutputHead(name, width, task, "probability" if activation == "softmax" else "logit"))
            continue
        head = _describe_unit(activation, loss)
        found += [OutputHead(name if width == 1 else f"{name} {i + 1}", 1, *head) for i in range(width)]
    return tuple(found) if len(found) > 1 else ()


def is_one_question(activation: str, loss: str) -> bool:
    """Whether several units of one output are the classes of one question."""
    return activation == "softmax" or "categorical" in loss


def count_answers(model: Any) -> int:
    """Numbers of one row of answers."""
    return sum(_measure_widths(model))


def join_answers(model: Any, answer: Any) -> Any:
    """What the network gives as one tensor: of several outputs, their numbers one after another."""
    import keras

    parts = keras.tree.flatten(answer)
    if not has_several(model):
        return parts[0]
    flat = [keras.ops.cast(keras.ops.reshape(part, (keras.ops.shape(part)[0], -1)), "float32") for part in parts]
    return keras.ops.concatenate(flat, axis=1)


def keep_structure(model: Any, answer: Any) -> Any:
    """What the network gives as its loss takes it: the one output, or all of them by name."""
    import keras

    return answer if has_several(model) else keras.tree.flatten(answer)[0]


def cut_answers(model: Any, flat: Any) -> Any:
    """Answers (n, numbers of all outputs) as the loss takes them."""
    return _pack(model, flat, _measure_widths(model)) if has_several(model) else flat


def make_targets(model: Any, y: Array) -> Array:
    """Targets (n, heads), codes or numbers -> (n, …) float32 as ``cut_targets`` takes them."""
    asked = _measure_widths(model) if not has_several(model) else _count_columns(model)
    if y.shape[1] != sum(asked):
        raise BadModel(f"The network has {sum(asked)} answers a row. Got targets for {y.shape[1]}.")
    if not has_several(model):
        return np.ascontiguousarray(y, dtype=np.float32)
    parts, at = [], 0
    for place, (columns, width) in enumerate(zip(asked, _measure_widths(model), strict=True)):
        part = np.asarray(y[:, at : at + columns], dtype=np.float32)
        if columns == 1 and _target_width(model, place, width) > 1:
            part = np.eye(width, dtype=np.float32)[part[:, 0].astype(np.int64)]
        parts.append(part)
        at += columns
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def cut_targets(model: Any, flat: Any) -> Any:
    """Targets as the loss takes them: as they are, or by output."""
    if not has_several(model):
        return flat
    widths = [_target_width(model, place, width) for place, width in enumerate(_measure_widths(model))]
    return _pack(model, flat, widths)


def count_targets(model: Any) -> int:
    """Numbers of one row of ``make_targets``."""
    return sum(_target_width(model, place, width) for place, width in enumerate(_measure_widths(model)))


def make_losses(model: Any) -> list[Any]:
    """A loss for each output of a network that carries none."""
    import keras

    losses: list[Any] = []
    for place, width in enumerate(_measure_widths(model)):
        activation = _find_activation(model, place)
        if activation == "softmax":
            losses.append(keras.losses.SparseCategoricalCrossentropy())
        else:
            losses.append("binary_crossentropy" if activation == "sigmoid" and width else "mean_squared_error")
    return losses


def _describe_unit(activation: str, loss: str) -> tuple[NumericTask, Any, bool]:
    regression = loss.startswith("mean_") or loss in ("huber", "log_cosh")
    if activation == "sigmoid" and not regression:
        return "binary", "probability", True
    if "crossentropy" in loss:
        return "binary", "logit", True
    return "regression", "value", activation == "linear"


def _measure_widths(model: Any) -> list[int]:
    shapes = [tuple(output.shape) for output in model.outputs]
    if any(len(shape) > 2 or None in shape[1:] for shape in shapes):
        raise BadModel(
            f"A model must give rows of numbers. Got outputs of shape {shapes}.", "Put a Flatten behind each of them."
        )
    return [int(shape[1]) if len(shape) == 2 else 1 for shape in shapes]


def _name_outputs(model: Any) -> list[str]:
    structure = _find_structure(model)
    if isinstance(structure, Mapping):
        return sorted(map(str, structure))  # as their numbers lie
    histories = [getattr(output, "_keras_history", None) for output in model.outputs]  # a tensor's name is drawn anew
    return [str(o.name if h is None else h.operation.name) for o, h in zip(model.outputs, histories, strict=True)]


def _find_structure(model: Any) -> Any:
    return getattr(getattr(model, "_functional", None) or model, "_outputs_struct", None)


def _find_activation(model: Any, place: int) -> str:
    history = getattr(model.outputs[place], "_keras_history", None)
    return "linear" if history is None else objective.name_activation(history.operation)


def _find_loss(model: Any, place: int) -> str:
    loss = getattr(model, "loss", None)
    if isinstance(loss, Mapping):
        loss = loss.get(_name_outputs(model)[place])
    elif isinstance(loss, (list, tuple)):
        loss = loss[place] if place < len(loss) else None
    return "" if loss is None else objective.name_loss(loss)


def _count_columns(model: Any) -> list[int]:
    """Of how many targets each output is made: one where its units are classes, else one a unit."""
    return [
        1 if width > 1 and is_one_question(_find_activation(model, place), _find_loss(model, place)) else width
        for place, width in enumerate(_measure_widths(model))
    ]


def _target_width(model: Any, place: int, width: int) -> int:
    return 1 if "sparse" in (_find_loss(model, place) or "sparse") and _count_columns(model)[place] == 1 else width


def _pack(model: Any, flat: Any, widths: list[int]) -> Any:
    import keras

    ends = np.cumsum([0, *widths]).tolist()
    parts = [flat[:, start:end] for start, end in zip(ends, ends[1:], strict=False)]
    return keras.tree.pack_sequence_as(_find_structure(model) or parts, parts)
