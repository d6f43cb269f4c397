"""A network of a class of the user's own, as a Sequential that says the shape of its input; and back for a file."""

from __future__ import annotations

from typing import Any

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import optimizer_state

SUFFIX = "_with_input"


def add_input(model: Any) -> Any:
    """The model itself where it says its input, else the only layer of a Sequential that says it.

    Weights are shared; training settings and the optimizer's memory are copied. Raises BadModel where the model was
    saved without knowing that shape.
    """
    import keras

    if getattr(model, "inputs", None):
        return model
    named = keras.Sequential([keras.Input(_find_shape(model)[1:]), model], name=f"{model.name}{SUFFIX}")
    copy_model.compile_like(model, named)
    if getattr(model, "optimizer", None) is not None:
        optimizer_state.copy(model, named)
    return named


def take_input_off(model: Any) -> Any:
    """What ``add_input`` was given, as a model of its own with the same weights; any other model itself."""
    if not model.name.endswith(SUFFIX) or len(model.layers) != 1 or not hasattr(model.layers[0], "compile"):
        return model
    copied = copy_model.copy(model)
    inner = copied.layers[0]
    copy_model.compile_like(copied, inner)
    if getattr(copied, "optimizer", None) is not None:
        optimizer_state.copy(copied, inner)
    return inner


def _find_shape(model: Any) -> tuple[Any, ...]:
    shapes = [shape for shape in (getattr(model, "_build_shapes_dict", None) or {}).values() if shape]
    if len(shapes) != 1 or not all(size is None or isinstance(size, int) for size in shapes[0]):
        raise BadModel(
            f"{type(model).__name__} does not say the shape of its one input.",
            "Call it once on rows and save it again, or build it as keras.Sequential([keras.Input(shape), model]).",
        )
    return tuple(shapes[0])
