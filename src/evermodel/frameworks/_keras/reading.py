"""Builds a model from a checked file: structure, weights, training arguments, optimizer state."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.frameworks._keras import allowed, optimizer
from evermodel.frameworks._keras.sealed import Found, opened

_SPARE = 1 << 16  # numbers that a structure may have beyond those in the file: seeds, counters


def read(path: Path) -> Any:
    """The model in a ``.h5`` or ``.keras`` file of Keras 2 or 3, compiled as it was. Runs no code from the file.

    Raises Unsafe where the file names anything that is not built into Keras, BadModel where it is damaged.
    """
    with opened(path) as found:
        config = allowed.model_config(found.model)
        _refuse_giant(config, found)
        model = _built(config)
        _compile(model, found)
        if found.tree is not None:
            _load_tree(model, found.tree, path.name)
        else:
            _load_groups(model, found.groups, path.name)
            optimizer.load(model, found.optimizer)
    return model


def _built(config: dict[str, Any]) -> Any:
    import keras

    try:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError, NotImplementedError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(
            f"Keras cannot build the file's structure: {first}", "Save the model again with Keras 3."
        ) from None
    if not model.built:
        raise BadModel("The model does not say the shape of its input.", "Add keras.Input(shape) and save it again.")
    return model


def _refuse_giant(config: dict[str, Any], found: Found) -> None:
    """Counts the structure's numbers without allocating any, against those that the file holds."""
    import copy

    with _nothing_allocated():
        model = _built(copy.deepcopy(config))
        wanted = sum(int(np.prod([float(d) for d in v.shape])) for v in model.variables)
    there = len(found.tree) // 2 if found.tree is not None else _count(found.groups)
    if wanted > _SPARE + 2 * there:
        raise BadModel(
            f"The structure asks for {wanted} numbers, the file holds about {there}.",
            "Copy the file again from where it was saved; it may have been altered.",
        )


@contextmanager
def _nothing_allocated() -> Iterator[None]:
    """Variables made inside never get numbers, not even later: Keras would make up for all of them at the next scope.

    There is no public way to forget them; left in Keras's list, a refused giant would fill the memory afterwards.
    """
    import keras
    from keras.src.backend.common import global_state

    waiting = list(global_state.get_global_attribute("uninitialized_variables") or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute("uninitialized_variables", waiting)


def _count(group: Any) -> int:
    total = 0
    for item in group.values():
        total += int(item.size) if hasattr(item, "shape") else _count(item)
    return total


def _compile(model: Any, found: Found) -> None:
    """Compiles as the file says. What cannot be compiled is left out with a warning: the model still predicts."""
    import keras

    if not found.training:
        return
    try:
        clean = allowed.training_config(found.training)
        made = {k: keras.saving.deserialize_keras_object(v, safe_mode=True) for k, v in clean.items()}
        model.compile(**made)
        if getattr(model, "optimizer", None) is not None:
            model.optimizer.build(model.trainable_variables)
    except (allowed.NotBuiltIn, ValueError, TypeError, KeyError, AttributeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(f"The model is read without its training settings: {first}", stacklevel=4)


def _load_tree(model: Any, tree: bytes, name: str) -> None:
    """Copies in the weights and slots of a ``.keras``; Keras's own loader knows each layer's layout."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        at = Path(folder) / "model.weights.h5"
        at.write_bytes(tree)
        warnings.simplefilter("ignore")
        before = optimizer.untouched(model)
        try:
            model.load_weights(at)
        except (ValueError, KeyError, TypeError, OSError, AttributeError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BadModel(
                f"The weights in {name} do not fit its structure: {first}", "Save the model again."
            ) from None
    optimizer.load_older_tree(model, before, tree)


def _load_groups(model: Any, groups: Any, name: str) -> None:
    """Copies in the weights of a ``.h5``: layer by layer in the file's order, each checked for its shape."""
    saved = [(n, _arrays(groups[n])) for n in _names(groups, "layer_names")]
    saved = [(n, arrays) for n, arrays in saved if arrays]
    layers = [layer for layer in model.layers if layer.weights]
    if len(saved) != len(layers):
        raise BadModel(
            f"{name} holds weights for {len(saved)} layers, its structure has {len(layers)}.", "Save the model again."
        )
    for layer, (saved_name, arrays) in zip(layers, saved, strict=True):
        weights = _legacy_order(layer)
        shapes = [tuple(w.shape) for w in weights]
        got = [tuple(a.shape) for _, a in arrays]
        if shapes != got:
            raise BadModel(
                f"Layer {layer.name!r} needs weights of shapes {shapes}; {saved_name!r} in {name} has {got}.",
                "Save the model again.",
            )
        for weight, (_, array) in zip(weights, arrays, strict=True):
            weight.assign(array)


def _legacy_order(layer: Any) -> list[Any]:
    """Trainable first, as ``.h5`` files of all Keras versions have it; seeds are not among them."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _arrays(group: Any) -> list[tuple[str, Any]]:
    return [(n, np.asarray(group[n])) for n in _names(group, "weight_names")]


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names kept in one attribute, or, when too long for one, in several numbered ones."""
    if attribute in group.attrs:
        parts = [group.attrs[attribute]]
    else:
        parts = []
        while f"{attribute}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{attribute}{len(parts)}"])
    return [n.decode() if isinstance(n, bytes) else str(n) for part in parts for n in part]
