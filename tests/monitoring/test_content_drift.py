"""Drift of pictures and texts: by features that describe them, and by statistics of their points."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.data.content_features import PICTURE, TEXT, describe_features, embed_contents, with_descriptions
from evermodel.core.data.contract import Column
from evermodel.monitoring.alarms.alarm_wording import describe_alarm
from evermodel.monitoring.drift_scores import measure_drift


def png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    kept = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(kept, "PNG")
    return kept.getvalue()


def pictures(n: int, seed: int, *, bright: float = 1.0) -> pl.DataFrame:
    """A light bar that lies or stands, on noise."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    found = []
    for stands in y:
        pixels = random.integers(0, 90, (16, 16, 3)).astype(float)
        at = random.integers(2, 12)
        pixels[(slice(None), slice(at, at + 3)) if stands else (slice(at, at + 3), slice(None))] += 120
        found.append(png(pixels * bright * random.uniform(0.8, 1.2)))
    return pl.DataFrame({"look": found, "bar": [("lies", "stands")[i] for i in y]})


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    import keras

    keras.utils.set_random_seed(0)
    folder, frame = tmp_path_factory.mktemp("looks"), pictures(1200, 1)
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.GlobalMaxPooling2D(),
        keras.layers.Dense(2, "softmax"),
    ]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    from evermodel.core.data.image_decoding import decode_images

    codes = (frame["bar"] == "stands").to_numpy().astype(int)
    model.fit(decode_images(frame["look"], (16, 16, 3)).astype("float32"), codes, epochs=30, verbose=0)
    model.save(folder / "m.keras")
    evermodel.adopt(folder / "m.keras", data=frame, target="bar", name="m", registry=folder / "registry")
    return folder / "registry"


def test_darker_pictures_are_one_alarm_that_says_how_they_look(registry):
    quiet = evermodel.watch("m", pictures(1000, 2), registry=registry).status
    assert not quiet.open
    drifted = {d.column for d in quiet.drift}
    assert {f"look.{what}" for what in PICTURE} <= drifted
    dark = evermodel.watch("m", pictures(1000, 3, bright=0.5).drop("bar"), registry=registry).status
    found = [a for a in dark.open if a.kind == "drift"]
    assert len(found) == 1, "one cause is one alarm"
    told = found[0].subject + describe_alarm(found[0])
    assert "look.brightness" in told
    assert found[0].level == "critical", "the picture is all that the model looks at"


def test_a_picture_column_that_is_gone_says_nothing_of_how_pictures_look(registry):
    found = evermodel.watch("m", pictures(500, 4).drop("look"), registry=registry).status
    assert not [a for a in found.open if a.subject.startswith("look.") and "missing" in a.kind]


def test_points_of_pictures_and_texts_and_what_cannot_be_read():
    frame = pl.DataFrame({"p": [png(np.full((8, 8, 3), 255.0)), b"no picture", None], "t": ["Ab 1!", "", None]})
    columns = (Column("p", "image"), Column("t", "text"))
    found = with_descriptions(frame, columns)
    assert set(found.columns) == {"p", "t", *describe_features(columns)}
    assert found["p.brightness"].to_list() == [pytest.approx(1.0), None, None]
    assert found["p.contrast"][0] == pytest.approx(0.0, abs=1e-6)
    row = {what: found[f"t.{what}"][0] for what in TEXT}
    assert row == {
        "length": pytest.approx(np.log(6)),
        "word length": 2.5,
        "digits": 0.2,
        "capitals": 0.2,
        "signs": 0.2,
        "not ASCII": 0.0,
    }
    assert found["t.length"].to_list()[1:] == [0.0, None]
    assert np.isnan(embed_contents(frame["p"])).any(axis=1).tolist() == [False, True, True]
    assert np.isnan(embed_contents(frame["t"])).any(axis=1).tolist() == [False, False, True]


def test_an_input_that_is_called_like_a_description_keeps_its_values():
    columns = (Column("t", "text"), Column("t.length", "number"))
    frame = pl.DataFrame({"t": ["abc"], "t.length": [99.0]})
    assert "t.length" not in describe_features(columns)
    assert with_descriptions(frame, columns)["t.length"].to_list() == [99.0]


def test_detectors_see_how_pictures_and_texts_changed_and_are_small_where_they_did_not():
    def texts(n: int, seed: int, words: tuple[str, ...]) -> pl.Series:
        random = np.random.default_rng(seed)
        return pl.Series([" ".join(random.choice(words, 12)) for _ in range(n)])

    old, new = (
        ("good", "bad", "fast", "slow", "cheap", "dear"),
        ("gut", "schlecht", "schnell", "langsam", "billig", "teuer"),
    )
    for was, same, other in (
        (pictures(600, 5)["look"], pictures(600, 6)["look"], pictures(600, 7, bright=0.7)["look"]),
        (texts(600, 5, old), texts(600, 6, old), texts(600, 7, new)),
    ):
        quiet, drift = (
            measure_drift(pl.DataFrame({"x": was}), pl.DataFrame({"x": now}))[0].statistics for now in (same, other)
        )
        assert quiet["c2st"] < 0.2
        assert quiet["mmd"] < 0.1
        assert drift["c2st"] > 0.5
        assert drift["mmd"] > 3 * quiet["mmd"] + 0.1
