"""The optimizer of short phases of training: fresh, and with a learning rate that can be set for each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evermodel.core.arrays import Array

RunSteps = Callable[[Array, Array], float]  # rows (steps, batch), learning rates (steps,) -> mean loss
ADAPTIVE = ("Adam", "AdamW", "Nadam", "Adamax")  # a learning rate means the same to these
RATE = 1e-3


def working_optimizer(given: Any) -> Any:
    """A fresh optimizer of the given one's settings if its rates are Adam's, else Adam; its rate can be assigned."""
    import keras

    if type(given).__name__ not in ADAPTIVE:
        return keras.optimizers.Adam(RATE)
    return type(given).from_config({**given.get_config(), "learning_rate": RATE, "use_ema": False})


def compile_plainly(source: Any, target: Any) -> None:
    """Compiles for training alone: the loss and a working optimizer, no metrics."""
    config = source.get_compile_config() or {}
    target.compile(working_optimizer(source.optimizer), source.loss, loss_weights=config.get("loss_weights"))
    target.optimizer.build(target.trainable_variables)
