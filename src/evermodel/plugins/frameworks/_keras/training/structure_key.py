"""Recognises networks of one structure, so that compiled graphs are shared between them."""

from __future__ import annotations

import hashlib
import json
import weakref
from typing import Any

from evermodel.core.model.user_code import is_any_imported
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.reading import own_classes

_known: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def of(model: Any) -> str:
    """A text that is equal for models of equal layers, names and settings; most of it computed once a model."""
    if model not in _known:
        code = own_classes.find_user_code(model) if is_any_imported() else None
        own = "" if code is None else code.digest  # a layer's name and settings do not say which file computes it
        _known[model] = json.dumps([type(model).__name__, model.get_config(), own], sort_keys=True, default=repr)
    return _known[model] + normalisation(model)


def normalisation(model: Any) -> str:
    """What its Normalization layers have learnt: a graph that is traced holds it as constants, not as weights."""
    learnt = [w.tobytes() for layer in copy_model.normalisations(model) for w in layer.get_weights()]
    return hashlib.sha256(b"".join(learnt)).hexdigest() if learnt else ""


def of_training(model: Any) -> str:
    """The same, with the loss and the optimizer it is trained with; a loss of the user's own counts as itself."""
    import keras

    loss, optimizer = model.loss, model.optimizer
    own = loss if isinstance(loss, str) else [type(loss).__name__, id(loss)]
    if isinstance(loss, keras.losses.Loss) and type(loss).__module__.startswith("keras."):
        own = [type(loss).__name__, loss.get_config()]
    config = {k: v for k, v in optimizer.get_config().items() if k not in ("learning_rate", "name")}
    trained = [v.path for v in model.trainable_variables]
    weights = (model.get_compile_config() or {}).get("loss_weights")
    text = json.dumps([own, type(optimizer).__name__, config, weights, trained], sort_keys=True, default=repr)
    return of(model) + text
