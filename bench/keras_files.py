"""What becomes of Keras files: plain ``keras.models.load_model`` beside Evermodel, and how long training takes.

    python bench/keras_files.py

First CPU seconds of ``fit`` for a 64-32 network on 5,000 x 20 rows, five epochs. Then one row a file: does plain Keras
load it, go on training, and equal an uninterrupted run; the same for us, and whether what we write back is loaded by
plain Keras with equal predictions. "difference" is the largest one between weights (resumed against uninterrupted) or
predictions.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "frameworks"))

import keras
import test_keras_files as files  # the same models and writers as the tests use

from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import keras as plugin


def difference(model: Any, reference: Any) -> float:
    pairs = zip(model.get_weights(), reference.get_weights(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def resumed(read: Callable[[Path], Any], path: Path, made: Any, shape: tuple[int, ...]) -> str:
    """Loads, trains two epochs, compares with the run that was never interrupted (``made``, already trained on)."""
    try:
        model = read(path)
    except Exception as error:  # any failure of the loader is a row of the table
        return f"does not load ({type(error).__name__})"
    try:
        model.fit(*files.rows(shape), epochs=2, verbose=0, shuffle=False)
    except Exception as error:
        return f"loads, fit fails ({type(error).__name__})"
    return f"resumes, difference {difference(model, made):.2g}"


def returned(path: Path, shape: tuple[int, ...], at: Path) -> str:
    model = plugin.read_file(path)
    x, _ = files.rows(shape)
    worst = 0.0
    for suffix in plugin.suffixes():
        plugin.write_file(model, at / f"back{suffix}")
        back = keras.models.load_model(at / f"back{suffix}")
        worst = max(worst, float(np.abs(files.plain(back, x) - files.plain(model, x)).max()))
    return f"difference {worst:.2g}"


def table_of_files() -> None:
    print(f"| {'file':<48} | {'plain Keras':<34} | {'Evermodel':<24} | {'written back, plain Keras':<24} |")
    for kind, make in files.MODELS.items():
        for name, write in files.FILES.items():
            with tempfile.TemporaryDirectory() as folder:
                made, old, shape = make()
                path = write(Path(folder), made, old, shape)
                made.fit(*files.rows(shape), epochs=2, verbose=0, shuffle=False)
                plain = resumed(keras.models.load_model, path, made, shape)
                ours = resumed(plugin.read_file, path, made, shape)
                back = returned(path, shape, Path(folder))
                print(f"| {name + ', ' + kind:<48} | {plain:<34} | {ours:<24} | {back:<24} |")


def seconds(work: Callable[[], Any]) -> str:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return f"{time.perf_counter() - wall:.2f} s ({time.process_time() - cpu:.2f} s CPU)"


def network() -> Any:
    stack = [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(32, activation="relu")]
    model = keras.Sequential([keras.Input((20,)), *stack, keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def time_of_fit(x: Any, y: Any, batch: int) -> None:
    model, copy = network(), network()
    one = Training(epochs=5, batch_size=batch, classes=(0, 1))
    print(
        f"batch {batch}: keras fit {seconds(lambda: copy.fit(x, y, epochs=5, batch_size=batch, verbose=0))}", end="; "
    )
    print(f"ours, first of its structure {seconds(lambda: plugin.fit(model, x, y, one, from_scratch=False))}", end="; ")
    print(f"ours, again {seconds(lambda: plugin.fit(model, x, y, one, from_scratch=False))}")


def table_of_times() -> None:
    x = np.random.default_rng(0).normal(size=(5000, 20)).astype("float32")
    y = (x[:, 0] + x[:, 1] ** 2 > 1).astype(int)
    for batch in (32, 64):
        time_of_fit(x, y, batch)
    model = network()
    for _ in range(2):  # the first call traces
        print(f"predict 5,000 rows: keras {seconds(lambda: model.predict(x, verbose=0))}", end="; ")
        print(f"ours {seconds(lambda: plugin.predict(model, x))}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    table_of_times()
    table_of_files()
