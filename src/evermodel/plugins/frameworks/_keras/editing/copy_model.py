"""Makes a second model of the same structure: with the same weights, or newly initialised from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._keras.reading import own_classes
from evermodel.plugins.frameworks._keras.training import objective, optimizer_state


@contextmanager
def use_seed(seed: int) -> Iterator[None]:
    """Fixes the seeds that Keras draws from Python's ``random`` for initializers and dropout; puts ``random`` back."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def rebuild_from(model: Any, seed: int = 0) -> Iterator[None]:
    """Inside, layers can be made anew from the settings of ``model``: from ``seed``, classes of the user's own too."""
    with use_seed(seed), own_classes.use_code_of(model):
        yield


@contextmanager
def own_dice(seed: int) -> Iterator[None]:
    """On PyTorch, Keras's dropout draws from torch's one global generator: seeded here, then put back as it was."""
    import keras

    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def clone(model: Any, seed: int = 0) -> Any:
    """A new model of the same structure, newly initialised from ``seed``; not compiled. The given one is untouched."""
    import keras

    with rebuild_from(model, seed):
        try:
            copied = keras.models.clone_model(model)
        except (ValueError, TypeError, NotImplementedError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BadModel(
                f"{type(model).__name__} cannot be copied: {first}",
                "Use a Sequential or Functional model of built-in layers.",
            ) from None
    keep_normalisation(model, copied)
    return copied


def normalisations(model: Any) -> list[Any]:
    """Its Normalization layers that have learnt a mean and a variance."""
    return [e for e in model._flatten_layers() if type(e).__name__ == "Normalization" and e.built and e.weights]


def keep_normalisation(source: Any, target: Any) -> None:
    """A Normalization layer's mean and variance are data, not learnt: a new model of the kind has the same ones."""
    for old, new in zip(normalisations(source), normalisations(target), strict=False):
        new.set_weights(old.get_weights())
        new.finalize_state()


def _finalise(model: Any) -> None:
    """A Normalization layer computes with a copy of its weights, which Keras renews in its own loader only."""
    for layer in normalisations(model):
        layer.finalize_state()


def copy(model: Any, seed: int = 0) -> Any:
    """A new model with the same weights, training settings and optimizer memory."""
    copied = clone(model, seed)
    set_weights(copied, model.get_weights())
    compile_like(model, copied)
    optimizer_state.copy(model, copied)
    return copied


def set_weights(model: Any, weights: list[Any]) -> None:
    """Puts in arrays of the shapes that ``model.get_weights()`` has, in its order. Raises BadModel if they differ."""
    mine = [tuple(w.shape) for w in model.weights]
    given = [np.shape(w) for w in weights]
    if mine != given:
        raise BadModel(
            f"The weights must have the shapes {mine}. Got {given}.", "Take them from a model of one lineage."
        )
    model.set_weights(weights)
    _finalise(model)


def compile_like(source: Any, target: Any, *, build: bool = True) -> None:
    """Compiles ``target`` as ``source`` is: same loss, an optimizer of the same settings, fresh metrics.

    Without ``build`` the optimizer gets its memory when it is first needed (``remember``): a fifth of a copy's time.
    """
    import keras

    if not getattr(source, "compiled", False) or source.optimizer is None:
        return
    config = source.get_compile_config() or {}
    with own_classes.use_code_of(source):
        metrics = {k: keras.saving.deserialize_keras_object(config.get(k)) for k in ("metrics", "weighted_metrics")}
    old = source.optimizer
    target.compile(
        optimizer=type(old).from_config(old.get_config()),
        loss=objective.full_name(source.loss),
        loss_weights=config.get("loss_weights"),
        **metrics,
    )
    if build:
        remember(target)


def remember(model: Any) -> None:
    """Gives the optimizer its memory, if there is one without: a file must hold it, or Keras warns when it is read."""
    old = getattr(model, "optimizer", None)
    if old is not None and getattr(model, "compiled", False) and not old.built:
        old.build(model.trainable_variables)
