"""Writes files that plain Keras loads and trains on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadSetting
from evermodel.core.files import write_whole
from evermodel.plugins.frameworks._keras.editing import copy_model, name_input


def write(obj: Any, to: Path) -> None:
    """``.keras`` with the optimizer's memory, or ``.h5``; whole or not at all. Raises BadSetting for another suffix."""
    obj = name_input.take_input_off(obj)
    copy_model.remember(obj)
    if to.suffix == ".keras":
        write_whole(to, lambda at: obj.save(at))
    elif to.suffix in (".h5", ".hdf5"):
        write_whole(to, lambda at: _write_h5(obj, at))
    else:
        raise BadSetting(f"A Keras file must end in .keras or .h5. Got {to.name!r}.", "Use .keras.")


def _write_h5(obj: Any, at: Path) -> None:
    """From a copy, as saving ``.h5`` makes the live model lose its optimizer in a later ``.keras``.

    Keras 3 reads ``optimizer_weights`` into an optimizer without variables and then cannot train. Under another name it
    starts a fresh optimizer and trains, while our own reader still finds the memory.
    """
    import h5py

    with _quiet():
        copy_model.copy(obj).save(at)
    with h5py.File(at, "a") as file:
        if "optimizer_weights" in file:
            file.move("optimizer_weights", "evermodel_optimizer")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keras advises against ``.h5`` at each save; here the user asked for it."""
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
