"""Makes a good Keras file and alters it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
from keras import layers

Change = Callable[[dict[str, Any]], None]


def good(to: Path) -> Path:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    model.save(to)
    return to


def altered(at: Path, change: Change, suffix: str) -> Path:
    """A good file whose model configuration went through ``change``."""
    source = good(at / f"good{suffix}")
    if suffix == ".h5":
        with h5py.File(source, "a") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return source
    return zipped(at, source, lambda members: members.update({"config.json": _changed(members["config.json"], change)}))


def _changed(raw: bytes, change: Change) -> bytes:
    config = json.loads(raw)
    change(config)
    return json.dumps(config).encode()


def zipped(at: Path, source: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(source) as archive:
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    change(members)
    with zipfile.ZipFile(at / "evil.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return at / "evil.keras"
