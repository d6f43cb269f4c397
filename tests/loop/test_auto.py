"""Which recipe `auto` follows: by the kind of model, and by whether there is anything old yet."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.loop.home import open_home
from evermodel.loop.versions import load_version
from tests.loop.conftest import rows


def test_a_booster_is_refit_until_the_window_leaves_rows_out(adopted):
    done = [evermodel.update("m", rows(400, 3 + t, angle=0.5 * t), home=adopted) for t in range(3)]
    assert [d.change for d in done] == ["refit", "refit", "halves"]
    assert all(d.finished for d in done if d.decision == "promote")


def test_a_network_is_refit_until_the_window_leaves_rows_out(tmp_path):
    keras = pytest.importorskip("keras")
    frame = rows(500, 1).drop("kind", "when")
    x = frame.select("a", "b").to_numpy() / (1.0, 10.0)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    net.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    net.fit(x, frame["y"].to_numpy(), epochs=10, verbose=0)
    scaled = frame.with_columns(pl.col("b") / 10.0)
    evermodel.adopt(net, data=scaled, target="y", name="n", home=tmp_path)
    done = []
    for t in range(3):
        new = rows(200, 3 + t, angle=0.8 * (t + 1)).drop("kind", "when").with_columns(pl.col("b") / 10.0)
        done.append(evermodel.update("n", new, home=tmp_path))
    assert [d.change for d in done] == ["refit", "refit", "blend"]
    store = open_home(tmp_path)
    made = load_version(store, store.card("n", done[2].challenger))
    assert made.obj.roles == ("recent", "again", "window")


def test_a_network_of_pictures_goes_on_with_all_rows(tmp_path):
    keras = pytest.importorskip("keras")
    random = np.random.default_rng(0)

    def pictures(n: int, dark: float) -> pl.DataFrame:
        from PIL import Image

        label = random.integers(0, 2, n)
        files = []
        for i, one in enumerate(label):
            pixels = random.integers(0, 80, (8, 8, 3)) + np.asarray([120 * one, 0, 120 * (1 - one)])
            files.append(tmp_path / f"{dark}-{n}-{i}.png")
            Image.fromarray((pixels * dark).astype(np.uint8)).save(files[-1])
        return pl.DataFrame({"picture": [f.read_bytes() for f in files], "sign": [f"s{one}" for one in label]})

    first = pictures(120, 1.0)
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
    net = keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Dense(2, "softmax")])
    net.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    from evermodel.core.image import decode_images

    x = decode_images(first["picture"], (8, 8, 3)).astype("float32") / 255.0
    net.fit(x, (first["sign"] == "s1").cast(pl.Int32).to_numpy(), epochs=10, verbose=0)
    evermodel.adopt(net, data=first, target="sign", name="p", shuffled=True, home=tmp_path / "home")
    done = evermodel.update("p", pictures(80, 0.5), home=tmp_path / "home")
    assert (done.change, done.settings) == ("replay", {"ratio": 100.0, "epochs": 5})
