"""Copies an optimizer's memory (iteration, momenta …) between files, and between models of one structure."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from evermodel.plugins.frameworks._keras.reading.h5_groups import read_arrays

_SLOTS = {  # the last or second word of a slot's name in Keras 1, 2 and 3 -> one word for it
    "m": "momentum",
    "momentum": "momentum",
    "momentums": "momentum",
    "momentum_cache": "momentum",
    "v": "velocity",
    "velocity": "velocity",
    "vhat": "vhat",
    "velocity_hat": "vhat",
    "rms": "velocity",
    "mean_square": "velocity",
    "mg": "average_gradient",
    "average_gradient": "average_gradient",
    "accumulator": "accumulator",
    "accumulated_grad": "accumulated_grad",
    "accumulated_delta_var": "accumulated_delta_var",
    "u": "norm",
    "norm": "norm",
    "linear": "linear",
}


def load(model: Any, group: Any) -> None:
    """Copies slots from the ``.h5`` group into the model's optimizer; warns and leaves it fresh if they do not fit."""
    optimizer = getattr(model, "optimizer", None)
    if group is None or optimizer is None:
        return
    saved = read_arrays(group)
    if not saved:
        return
    variables = list(optimizer.variables)
    if not any(("/" in name and name.endswith(":0")) or name.endswith(":0") for name, _ in saved):
        fits = [tuple(v.shape) for v in variables] == [a.shape for _, a in saved]
        if fits:
            for variable, (_, array) in zip(variables, saved, strict=True):
                variable.assign(array)
            return
    elif _load_older(model, optimizer, saved):
        return
    warnings.warn("The optimizer's memory in the file does not fit and was left out.", stacklevel=5)


def _load_older(model: Any, optimizer: Any, saved: list[tuple[str, Any]]) -> bool:
    """Keras 1 and 2 name a slot after its weight: ``Adam/dense/kernel/m:0`` or ``Adam/m/dense/kernel:0``."""
    slots: dict[str, list[Any]] = {}
    for name, array in saved:
        words = name.split(":")[0].split("/")
        if words[-1] in ("iter", "iteration", "iterations"):
            optimizer.iterations.assign(int(array))
        elif words[-1] in ("learning_rate", "current_learning_rate"):
            continue  # the training configuration says it already
        else:
            slots.setdefault(_slot(words), []).append(array)
    mine: dict[str, list[Any]] = {}
    for variable in optimizer.variables:
        kind = next((k for k in _ENDINGS if str(variable.path).endswith("_" + k)), None)
        if kind is not None:
            mine.setdefault(_SLOTS[kind], []).append(variable)
    if all(word.partition("_")[0] == "Variable" for word in slots):  # before Keras 2.3: one kind after another
        nameless = [array for arrays in slots.values() for array in arrays]
        n = len(next(iter(mine.values()), ()))
        slots = {kind: nameless[i * n : (i + 1) * n] for i, kind in enumerate(mine)}
    pairs = [(v, a) for kind, vs in mine.items() for v, a in zip(vs, slots.get(kind, []), strict=False)]
    whole = all(len(vs) == len(slots.get(kind, [])) for kind, vs in mine.items())
    if not whole or any(tuple(v.shape) != a.shape for v, a in pairs):
        return False
    for variable, array in pairs:
        variable.assign(array)
    return True


_ENDINGS = sorted((k for k in _SLOTS if len(k) > 2), key=len, reverse=True)


def _slot(words: list[str]) -> str:
    for word in (words[-1], *words[:2]):
        if word in _SLOTS:
            return _SLOTS[word]
    return words[-1]


def copy(source: Any, target: Any) -> None:
    """Copies the whole memory from one model's optimizer to another's of the same structure.

    On JAX a variable assigned to another shares its array, and training gives the arrays of its own away: the source
    would be left without any.
    """
    import keras

    old, new = getattr(source, "optimizer", None), getattr(target, "optimizer", None)
    if old is None or new is None or not old.built:
        return
    if [tuple(v.shape) for v in old.variables] != [tuple(v.shape) for v in new.variables]:
        return  # built for other weights (a layer was frozen since): starts afresh
    for a, b in zip(new.variables, old.variables, strict=True):
        a.assign(keras.ops.copy(b.value))


def count_untouched(model: Any) -> int:
    """How many variables the optimizer has, before weights are loaded."""
    optimizer = getattr(model, "optimizer", None)
    return 0 if optimizer is None else len(optimizer.variables)


def load_older_tree(model: Any, wanted: int, tree: bytes) -> None:
    """Copies in the memory of a ``.keras`` that Keras 2 wrote, which Keras skips silently; warns where it does not fit.

    Both keep the slots in one order; Keras 2 had no learning rate among them, and gave plain SGD momenta of no use.
    """
    if not wanted:
        return
    from io import BytesIO

    import h5py

    with h5py.File(BytesIO(tree), "r") as file:
        slots = file.get("optimizer/vars", {})
        if len(slots) == wanted or "0" not in slots or not int(slots["0"][()]):
            return
        saved = [np.asarray(slots[str(i)]) for i in range(1, len(slots)) if str(i) in slots]
        steps = int(slots["0"][()])
    optimizer = model.optimizer
    mine = [v for v in optimizer.variables if v is not optimizer.iterations][1:][: len(saved)]
    idle = type(optimizer).__name__ == "SGD" and not optimizer.momentum
    if not idle and [tuple(v.shape) for v in mine] != [a.shape for a in saved]:
        there = len(saved) + 1
        warnings.warn(f"The optimizer's memory does not fit ({there} of {wanted}); it starts afresh.", stacklevel=5)
        return
    optimizer.iterations.assign(steps)
    for variable, array in zip(mine, saved, strict=False):
        variable.assign(array)


def learning_rate(model: Any) -> float | None:
    """The current learning rate, or None if there is no optimizer."""
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else float(np.asarray(optimizer.learning_rate))
