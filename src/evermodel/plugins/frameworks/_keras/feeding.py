"""Feeds a network: rows lie flat in one matrix, and are cut into the tensors that the network takes, by name.

A network with one flat input, or one of pictures, takes its rows as they are. Any other gets rows (n, d) of numbers,
its inputs one after another; they are cut, shaped and cast inside the graph, so that drawing rows stays one step. Where
one of several inputs takes texts, the rows are texts: numbers are written out, and read again in the graph.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.framework import InputTensor

_write_texts = np.frompyfunc(str, 1, 1)
_tensors: weakref.WeakKeyDictionary[Any, tuple[InputTensor, ...]] = weakref.WeakKeyDictionary()


def list_tensors(model: Any) -> tuple[InputTensor, ...]:
    """The named inputs of a network that takes more than one flat row; empty where rows are fed as they are.

    Raises BadModel where one of several inputs takes rows of no fixed length, or texts and Keras runs on no TensorFlow.
    """
    if model not in _tensors:
        _tensors[model] = () if _takes_rows(model) else tuple(map(_describe_tensor, model.inputs, _find_codes(model)))
    return _tensors[model]


def is_plain(model: Any) -> bool:
    """Whether rows are fed as they are: one input, either flat and of floats, or of pictures, text or no fixed size."""
    return not list_tensors(model)


def _takes_rows(model: Any) -> bool:
    if len(model.inputs) != 1:
        return False
    shape, dtype = tuple(model.inputs[0].shape[1:]), str(model.inputs[0].dtype)
    if None in shape or len(shape) == 3 or dtype == "string":
        return True
    flat = math.prod(shape[1:]) == 1
    return flat and not _is_whole(dtype) and _find_codes(model) == [None]


def get_row_spec(model: Any) -> tuple[tuple[int | None, ...], str]:
    """Shape (n, …) and type of the rows that the network is fed with; doubles where they hold whole numbers."""
    if is_plain(model):
        return tuple(model.inputs[0].shape), str(model.inputs[0].dtype)
    tensors = list_tensors(model)
    kinds = ("string", any(_is_text(t) for t in tensors)), ("float64", any(t.is_whole for t in tensors))
    dtype = next((dtype for dtype, is_needed in kinds if is_needed), "float32")
    return (None, sum(t.width for t in tensors)), dtype


def prepare_rows(model: Any, x: Any) -> Array:
    """x as one contiguous array of the type that the network's rows have. Raises BadModel for another width."""
    shape, dtype = get_row_spec(model)
    if dtype == "string":
        return _stack_texts(x, shape) if is_plain(model) else _write_rows(model, x)
    rows = np.ascontiguousarray(x, dtype=dtype)
    if is_plain(model):
        return rows
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] != shape[1]:
        raise BadModel(f"The network takes {shape[1]} numbers a row. Got {rows.shape[1]}.")
    return rows


def takes_text(model: Any) -> bool:
    """Whether its one input takes texts: the network holds its own vectorizer or table of words."""
    return len(model.inputs) == 1 and str(model.inputs[0].dtype) == "string"


def _stack_texts(x: Any, shape: tuple[int | None, ...]) -> Array:
    """A frame of text columns, or an array, as texts of ``shape``; a missing text is an empty one."""
    texts = x.fill_null("").to_numpy() if isinstance(x, pl.DataFrame) else np.asarray(x)
    return np.ascontiguousarray(texts.astype(object)).reshape(len(texts), *(1 if d is None else d for d in shape[1:]))


def _write_rows(model: Any, x: Any) -> Array:
    """Rows (n, d) of texts and numbers as texts; a double is written so that it is read again bit by bit."""
    rows = np.array(x, dtype=object)
    at = 0
    for tensor in list_tensors(model):
        part = rows[:, at : at + tensor.width]
        written = _write_texts(part) if _is_text(tensor) else part.astype(np.float64).astype("U32").astype(object)
        rows[:, at : at + tensor.width] = written
        at += tensor.width
    return rows


def _is_text(tensor: InputTensor) -> bool:
    return tensor.dtype == "string"


def cut_rows(model: Any, rows: Any) -> Any:
    """Rows (n, d), an array or a tensor of the backend -> what the network is called with."""
    if is_plain(model):
        return rows
    import keras

    tensors = list_tensors(model)
    if isinstance(rows, np.ndarray):
        cut = [_to_tensor(part) if part.dtype == object else part for part in _cut_array(tensors, rows)]
    else:
        cut = _cut_tensor(tensors, rows)
    structure = getattr(getattr(model, "_functional", None) or model, "_inputs_struct", None)
    return cut[0] if len(cut) == 1 else keras.tree.pack_sequence_as(structure or cut, cut)


def name_parts(model: Any, rows: Array) -> dict[str, Array]:
    """Rows (n, d) by the names of the inputs, as arrays; of texts, plain Keras takes a ``tf.constant``."""
    tensors = list_tensors(model)
    return {t.name: part for t, part in zip(tensors, _cut_array(tensors, rows), strict=True)}


def _cut_array(tensors: Sequence[InputTensor], rows: Array) -> list[Array]:
    """Rows (n, d) of numbers, or of texts, as an array for each input: (n, …) in its type; texts are objects."""
    parts, at = [], 0
    for tensor in tensors:
        part = rows[:, at : at + tensor.width].reshape(-1, *tensor.shape)
        if not _is_text(tensor) and rows.dtype == object:
            part = part.astype(np.float64)  # "7.0" is no text that numpy reads as a whole number
        parts.append(np.ascontiguousarray(part, dtype=object if _is_text(tensor) else tensor.dtype))
        at += tensor.width
    return parts


def _cut_tensor(tensors: Sequence[InputTensor], rows: Any) -> list[Any]:
    """As ``_cut_array``, inside a graph. Texts are of TensorFlow, where Keras's layers for them run alone."""
    import keras

    parts, at, are_texts = [], 0, any(map(_is_text, tensors))
    for tensor in tensors:
        part = rows[:, at : at + tensor.width]
        if are_texts and not _is_text(tensor):
            part = _read_numbers(part)
        part = keras.ops.reshape(part, (-1, *tensor.shape))
        parts.append(part if _is_text(tensor) else keras.ops.cast(part, tensor.dtype))
        at += tensor.width
    return parts


def _to_tensor(texts: Array) -> Any:
    import tensorflow as tf

    return tf.constant(texts)


def _read_numbers(texts: Any) -> Any:
    import tensorflow as tf

    return tf.strings.to_number(texts, tf.float64)


def _describe_tensor(tensor: Any, codes: int | None) -> InputTensor:
    import keras

    name, shape, dtype = str(tensor.name), tuple(tensor.shape[1:]), str(tensor.dtype)
    if None in shape:
        raise BadModel(
            f"The input {name!r} takes rows of no fixed length: {shape}.",
            "Give its keras.Input a shape of numbers, such as (20,).",
        )
    if dtype == "string" and keras.backend.backend() != "tensorflow":
        raise BadModel(
            f"The input {name!r} takes texts, and Keras reads texts on TensorFlow alone.",
            "Set KERAS_BACKEND=tensorflow; or give the input the ids of words in place of texts.",
        )
    return InputTensor(name, tuple(int(d) for d in shape), dtype, codes)


def _is_whole(dtype: str) -> bool:
    return dtype.startswith(("int", "uint"))


def _find_codes(model: Any) -> list[int | None]:
    """For each input how many codes the embedding knows that reads it; None where none reads it directly."""
    graph = getattr(model, "_functional", None) or model
    found: list[int | None] = []
    for tensor in model.inputs:
        tables = [
            int(operation.input_dim)
            for operation in getattr(graph, "operations", [])
            if type(operation).__name__ == "Embedding"
            for node in operation._inbound_nodes
            if any(given is tensor for given in node.input_tensors)
        ]
        found.append(min(tables) if tables else None)
    return found
