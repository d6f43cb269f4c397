"""Puts a model's transform and output into its network: one Functional model that takes raw columns by name.

Each column is one input of shape (1,): numbers as float64, where NaN is a missing value, and categories as strings,
where any other value is an unknown one. Only operations and layers of Keras itself stand before and behind the network,
so that plain Keras loads the file. Numbers are scaled in float64, as the transform does it; ``predict`` of Keras rounds
what it is given to float32 before, a call of the model does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.core.model.output import SMALLEST, Output
from evermodel.core.model.transform import Feature, Transform
from evermodel.plugins.frameworks._keras import feeding

NUMBERS = ("value", "integer")
INSTEAD = "Save it without preprocessing: NAME.transform.json says how rows become its input."


def embed_preprocessing(obj: Any, transform: Transform, output: Output, columns: Sequence[str]) -> Any:
    """A Functional model: ``columns`` by name -> probabilities (n, 1) or (n, k), or values (n, 1).

    ``columns`` gives the order of the inputs. Raises BadModel for a transform that no layer of Keras expresses.
    """
    import keras

    _check_expressible(transform, keras.backend.backend())
    used = {f.column: f for f in transform.features}
    inputs = {name: _make_input(name, used[name]) for name in columns if name in used}
    parts = [
        part
        for (is_number, _), run in groupby(transform.features, key=lambda f: (f.encoding in NUMBERS, f.function))
        for part in (_encode_numbers(list(run), inputs) if is_number else (_encode_category(f, inputs) for f in run))
    ]
    parts = [keras.ops.cast(part, transform.dtype) for part in parts]
    x = parts[0] if len(parts) == 1 else keras.layers.Concatenate(dtype=transform.dtype)(parts)
    raw = obj(feeding.cut_rows(obj, keras.ops.cast(x, feeding.get_row_spec(obj)[1])))
    answers = _restore_values(raw, output) if output.kind == "value" else _recalibrate(raw, output)
    return keras.Model(list(inputs.values()), answers)


def name_columns(model: Any, frame: Any) -> dict[str, Any]:
    """The columns of a frame as tensors, as a model with embedded preprocessing takes them."""
    import tensorflow as tf

    given: dict[str, Any] = {}
    for tensor in model.inputs:
        column = frame[tensor.name]
        texts = str(tensor.dtype) == "string"
        values = column.fill_null("").to_list() if texts else column.to_numpy().astype(np.float64)
        given[tensor.name] = tf.reshape(tf.constant(values), (-1, 1))
    return given


def _check_expressible(transform: Transform, backend: str) -> None:
    if backend != "tensorflow":
        raise BadModel(
            f"A network that reads raw columns is written with TensorFlow, and Keras runs on {backend} here.",
            "Set KERAS_BACKEND=tensorflow.",
        )
    if transform.layout != "matrix" or any(f.shape or f.encoding in ("image", "text") for f in transform.features):
        raise BadModel("Pictures and texts are decoded before the network, and no layer of Keras does that.", INSTEAD)
    slashed = next((f.column for f in transform.features if "/" in f.column), None)
    if slashed is not None:
        raise BadModel(f"Keras takes no input named {slashed!r}: a name must not hold '/'.", "Rename the column.")


def _make_input(name: str, feature: Feature) -> Any:
    import keras

    return keras.Input((1,), name=name, dtype="float64" if feature.encoding in NUMBERS else "string")


def _encode_numbers(features: list[Feature], inputs: dict[str, Any]) -> list[Any]:
    """One tensor (n, k) of k columns with one function: missing ones filled, (function(value) - center) / scale."""
    from keras import layers, ops

    given = [inputs[f.column] for f in features]
    x = given[0] if len(given) == 1 else layers.Concatenate(dtype="float64")(given)
    fills = np.array([[np.nan if f.fill is None else f.fill for f in features]])
    if np.isfinite(fills).any():
        x = ops.where(ops.isfinite(x), x, fills)
    function = features[0].function
    if function == "cbrt":
        x = ops.multiply(ops.sign(x), ops.power(ops.absolute(x), 1.0 / 3.0))
    elif function != "none":
        x = getattr(ops, function)(x)
    centers, scales = np.array([[f.center for f in features]]), np.array([[f.scale for f in features]])
    if (centers != 0.0).any() or (scales != 1.0).any():
        x = ops.divide(ops.subtract(x, centers), scales)
    return [x]


def _encode_category(feature: Feature, inputs: dict[str, Any]) -> Any:
    """(n, k) of one column: its code, or one column a category; place 0 of the lookup is any unknown value."""
    from keras import layers, ops

    given, count = inputs[feature.column], len(feature.categories)
    known = [*feature.categories, *([""] if feature.fills_category else [])]  # a missing text is an empty one
    if feature.encoding == "code":
        lookup = layers.StringLookup(vocabulary=known, num_oov_indices=1)
        codes = ops.subtract(ops.cast(lookup(given), "float64"), 1.0)
        unknown = np.array([[-1.0 if feature.below is not None else np.nan if feature.fill is None else feature.fill]])
        if feature.fills_category:
            unknown, codes = (
                np.array([[-1.0]]),
                ops.where(ops.equal(codes, float(count)), float(feature.fill or 0), codes),
            )
        x = ops.where(ops.greater_equal(codes, 0.0), codes, unknown)
    else:
        lookup = layers.StringLookup(vocabulary=known, num_oov_indices=1, output_mode="one_hot")
        x = lookup(given)[:, 1:]
        if feature.fills_category:
            filled = np.eye(count, dtype="float32")[[int(feature.fill or 0)]]
            x = ops.add(x[:, :count], ops.multiply(x[:, count:], filled))
        x = x[:, 1 if feature.encoding == "onehot_drop_first" else 0 :]
    if feature.center == 0.0 and feature.scale == 1.0:
        return x
    return ops.divide(ops.subtract(ops.cast(x, "float64"), feature.center), feature.scale)


def _restore_values(raw: Any, output: Output) -> Any:
    """Values in the target's own units, as ``Output`` computes them."""
    from keras import ops

    shift = output.shift[0] if output.shift else 0.0
    if (output.scale, shift) != (1.0, 0.0):
        raw = ops.add(ops.multiply(raw, output.scale), shift)
    raw = _invert_target(raw, output.target_transform)
    if (output.gain, output.offset) != (1.0, 0.0):
        raw = ops.add(ops.multiply(raw, output.gain), output.offset)
    return raw


def _invert_target(z: Any, kind: str) -> Any:
    from keras import ops

    if kind in ("log", "log1p", "log2", "log10"):
        base = {"log2": np.log(2.0), "log10": np.log(10.0)}.get(kind, 1.0)
        z = ops.exp(ops.multiply(z, float(base))) if base != 1.0 else ops.expm1(z) if kind == "log1p" else ops.exp(z)
    elif kind == "sqrt":
        z = ops.square(ops.maximum(z, 0.0))
    elif kind == "square":
        z = ops.sqrt(ops.maximum(z, 0.0))
    elif kind == "cbrt":
        z = ops.power(z, 3)
    return z


def _recalibrate(raw: Any, output: Output) -> Any:
    """Probabilities, as ``Output`` computes them; of two classes with one answer, that of the second."""
    from keras import ops

    one = raw.shape[-1] == 1
    if output.kind == "logit":
        raw = ops.sigmoid(raw) if one else ops.softmax(raw)
    shift = np.zeros(2 if one else raw.shape[-1])
    if len(output.shift) > len(shift):
        raise BadModel("Classes came after the network was made; it has no answers for them.", INSTEAD)
    shift[: len(output.shift)] = output.shift
    shift[1] += output.offset if len(shift) == 2 else 0.0
    if output.temperature == 1.0 and not shift.any():
        return raw
    if one:
        odds = ops.subtract(ops.log(ops.maximum(raw, SMALLEST)), ops.log(ops.maximum(ops.subtract(1.0, raw), SMALLEST)))
        return ops.sigmoid(ops.add(ops.divide(odds, output.temperature), float(shift[1] - shift[0])))
    scores = ops.divide(ops.log(ops.maximum(raw, SMALLEST)), output.temperature)
    return ops.softmax(ops.add(scores, shift[None, :].astype("float32")))
