"""Predicts rows in numpy, in batches, without the fixed cost of ``model.predict``."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._keras import feeding, heads
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import objective, structure_key

_CELLS = 1 << 22  # numbers of input in one batch
SHARED = 1_000_000  # parameters up to which networks of one structure share a graph
KEPT = 8  # such graphs in memory
_of_structure: OrderedDict[str, Any] = OrderedDict()
_guard = threading.Lock()
_other: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # a large model -> what is asked instead
_compiled: weakref.WeakKeyDictionary[Any, Callable[[Any], Any]] = weakref.WeakKeyDictionary()


def predict(obj: Any, x: Any, through: Callable[[Any], Any] | None = None) -> Array:
    """x (n, …) -> raw output (n, k) float32. Same rows, same bits. Several outputs lie side by side.

    ``through`` makes of a model one with the same weights in the same order that is asked instead: of a structure that
    was asked before it costs nothing.
    """
    shape = feeding.get_row_spec(obj)[0][1:]
    width = objective.single_output(obj) if not heads.has_several(obj) else heads.count_answers(obj)
    rows = feeding.prepare_rows(obj, x)
    size = max(32, min(16384, _CELLS // max(1, int(np.prod([d or 64 for d in shape])) * _weight_per_row(obj))))
    call = _call(obj, through)
    parts = [np.asarray(call(rows[i : i + size]), dtype=np.float32) for i in range(0, len(rows), size)]
    return np.concatenate(parts) if parts else np.zeros((0, width), dtype=np.float32)


def _weight_per_row(obj: Any) -> int:
    """A convolution's intermediate results are many times its input; a plain network's are not."""
    return 16 if any(len(tensor.shape) > 2 for tensor in obj.inputs) else 1


def _call(obj: Any, through: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    import keras

    if keras.backend.backend() == "tensorflow" and obj.count_params() <= SHARED:
        return _shared(obj, through)
    if through is not None:
        if obj not in _other:
            _other[obj] = through(obj)
        obj = _other[obj]
    if keras.backend.backend() != "tensorflow":
        return lambda part: heads.join_answers(obj, obj.predict_on_batch(feeding.cut_rows(obj, part)))
    if obj not in _compiled:
        _compiled[obj] = _graph(obj)
    return _compiled[obj]


def _shared(obj: Any, through: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """The graph of the model's structure, which takes the weights as an argument: traced once for all its like."""
    import tensorflow as tf

    key = structure_key.of(obj) + (through.__name__ if through else "")
    with _guard:
        graph = _of_structure.pop(key, None) or _stateless(copy_model.clone(obj) if through is None else through(obj))
        _of_structure[key] = graph
        while len(_of_structure) > KEPT:
            _of_structure.popitem(last=False)
    weights = [[v.value for v in part] for part in (obj.trainable_variables, obj.non_trainable_variables)]
    return lambda part: graph(*weights, tf.constant(part)).numpy()


def _stateless(like: Any) -> Any:
    """A graph of weights and rows, traced on a copy of the model, so that the model itself can be freed."""
    import tensorflow as tf

    def forward(trainable: Any, rest: Any, part: Any) -> Any:
        fed = feeding.cut_rows(like, part)
        return heads.join_answers(like, like.stateless_call(trainable, rest, fed, training=False)[0])

    def specs(variables: Any) -> list[Any]:
        return [tf.TensorSpec(tuple(v.shape), v.dtype) for v in variables]

    spec = tf.TensorSpec(*feeding.get_row_spec(like))
    signature = [specs(like.trainable_variables), specs(like.non_trainable_variables), spec]
    return tf.function(forward, input_signature=signature, autograph=False)


def _graph(obj: Any) -> Callable[[Any], Any]:
    """The model as one TensorFlow graph for any number of rows; holds the model weakly, so that it can be freed."""
    import tensorflow as tf

    weak = weakref.ref(obj)
    spec = tf.TensorSpec(*feeding.get_row_spec(obj))

    def forward(part: Any) -> Any:
        model = weak()
        if model is None:
            raise ReferenceError("the model is gone")
        return heads.join_answers(model, model(feeding.cut_rows(model, part), training=False))

    graph = tf.function(forward, input_signature=[spec], autograph=False)
    return lambda part: graph(tf.constant(part)).numpy()
