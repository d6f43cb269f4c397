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
from evermodel.core.model.user_code import UserCode
from evermodel.plugins.frameworks._keras.editing import name_input
from evermodel.plugins.frameworks._keras.reading import allowed_config, hard_sigmoid, own_classes, vocabularies
from evermodel.plugins.frameworks._keras.reading.cudnn_weights import convert_cudnn_weights
from evermodel.plugins.frameworks._keras.reading.h5_groups import read_arrays, read_names
from evermodel.plugins.frameworks._keras.reading.safe_archive import Contents, open_archive
from evermodel.plugins.frameworks._keras.training import optimizer_state

_SPARE = 1 << 16  # numbers that a structure may have beyond those in the file: seeds, counters


def read(path: Path, code: UserCode | None = None) -> Any:
    """The model in a ``.h5`` or ``.keras`` file of Keras 2 or 3, compiled as it was. Runs no code from the file.

    Raises Unsafe where the file names anything that is neither built into Keras nor defined in ``code``, BadModel where
    it is damaged.
    """
    with own_classes.use_code(code), open_archive(path) as contents:
        config = allowed_config.model_config(contents.model)
        vocabularies.put_vocabularies(config, contents.vocabularies)
        _refuse_giant(config, contents)
        model = _built(config)
        _compile(model, contents)
        if contents.tree is not None:
            _load_tree(model, contents.tree, path.name)
        else:
            _load_groups(model, contents.groups, path.name)
            optimizer_state.load(model, contents.optimizer)
        if contents.version.startswith(("1", "2")):
            hard_sigmoid.keep_hard_sigmoid(model)
        return model if code is None else name_input.add_input(model)


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


def _refuse_giant(config: dict[str, Any], contents: Contents) -> None:
    """Counts the structure's numbers without allocating any, against those that the file holds."""
    import copy

    with _nothing_allocated():
        model = _built(copy.deepcopy(config))
        wanted = sum(int(np.prod([float(d) for d in v.shape])) for v in model.variables)
    there = len(contents.tree) // 2 if contents.tree is not None else _count(contents.groups)
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


def warn_of_lost_training(reason: str) -> None:
    """Says that a model is read, but without its own loss and optimizer, and what follows from that."""
    warnings.warn(
        f"The model is read without its training settings: {reason} Updates train it with the usual loss of its task. "
        "To keep its own, name the Python file that defines it: --trust FILE.py.",
        stacklevel=2,
    )


def _compile(model: Any, contents: Contents) -> None:
    """Compiles as the file says. What cannot be compiled is left out with a warning: the model still predicts."""
    import keras

    if not contents.training:
        return
    try:
        clean = allowed_config.training_config(contents.training)
        compile_settings = {k: keras.saving.deserialize_keras_object(v, safe_mode=True) for k, v in clean.items()}
        model.compile(**compile_settings)
        if getattr(model, "optimizer", None) is not None:
            model.optimizer.build(model.trainable_variables)
    except (allowed_config.NotBuiltIn, ValueError, TypeError, KeyError, AttributeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warn_of_lost_training(first)


def _load_tree(model: Any, tree: bytes, name: str) -> None:
    """Copies in the weights and slots of a ``.keras``; Keras's own loader knows each layer's layout."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        at = Path(folder) / "model.weights.h5"
        at.write_bytes(tree)
        warnings.simplefilter("ignore")
        before = optimizer_state.count_untouched(model)
        try:
            model.load_weights(at)
            optimizer_state.load_older_tree(model, before, tree)
        except (ValueError, KeyError, TypeError, OSError, AttributeError, RuntimeError, OverflowError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BadModel(
                f"The weights in {name} do not fit its structure: {first}", "Save the model again."
            ) from None


def _load_groups(model: Any, groups: Any, name: str) -> None:
    """Copies in the weights of a ``.h5`` by the names of layers, else in the file's order; each shape is checked."""
    saved = [(n, read_arrays(groups[n])) for n in read_names(groups, "layer_names")]
    saved = [(n, arrays) for n, arrays in saved if arrays]
    layers = [layer for layer in model.layers if layer.weights]
    if len(saved) != len(layers):
        raise BadModel(
            f"{name} holds weights for {len(saved)} layers, its structure has {len(layers)}.", "Save the model again."
        )
    by_name = dict(saved)
    if len(by_name) == len(saved) and by_name.keys() == {layer.name for layer in layers}:
        saved = [(layer.name, by_name[layer.name]) for layer in layers]  # branches may stand in another order
    for layer, (saved_name, arrays) in zip(layers, saved, strict=True):
        weights = _legacy_order(layer)
        arrays = _sort_by_name(weights, arrays)
        shapes = [tuple(w.shape) for w in weights]
        values = convert_cudnn_weights(shapes, [a for _, a in arrays])
        got = [tuple(a.shape) for a in values]
        if shapes != got:
            raise BadModel(
                f"Layer {layer.name!r} needs weights of shapes {shapes}; {saved_name!r} in {name} has {got}.",
                "Save the model again.",
            )
        for weight, array in zip(weights, values, strict=True):
            weight.assign(array)


def _sort_by_name(weights: list[Any], arrays: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The arrays in the order of ``weights`` where the last two words of their names say it; else as they are.

    It matters in nested models alone: their layers may stand in another order than in the Keras that wrote them.
    """
    found = {tuple(name.split(":")[0].split("/")[-2:]): (name, array) for name, array in arrays}
    wanted = [tuple(str(weight.path).split("/")[-2:]) for weight in weights]
    return [found[key] for key in wanted] if len(found) == len(arrays) and found.keys() == set(wanted) else arrays


def _legacy_order(layer: Any) -> list[Any]:
    """Trainable first, as ``.h5`` files of all Keras versions have it; seeds are not among them."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]
