"""Networks that hold their own words: raw texts go in, and the vocabulary stays what it was."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.core.errors import BadModel, Unsafe
from evermodel.registry.adoption.model_file import open_model

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("Keras runs its text layers on TensorFlow alone", allow_module_level=True)
GOOD, BAD = ("great", "lovely", "fine", "Élan"), ("awful", "poor", "dull", "broken")
FILLING = ("the", "film", "was", "and", "plot", "really")


def make_rows(n: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    texts = [
        " ".join(random.permutation([*random.choice(FILLING, 4), random.choice(GOOD if y else BAD)])) for y in labels
    ]
    shops = np.where(labels == 1, random.choice(["north", "west"], n), random.choice(["south", "east"], n))
    shops[random.random(n) < 0.1] = "west"
    codes = np.where(labels == 1, random.choice([7, 11], n), random.choice([13, 40], n))
    return pl.DataFrame({"text": texts, "shop": shops, "code": codes, "y": labels})


def build(kind: str, rows: pl.DataFrame):
    layers = keras.layers
    keras.utils.set_random_seed(0)
    if kind == "texts":
        first = layers.TextVectorization(50, output_sequence_length=6)
        first.adapt(rows["text"].to_numpy().astype(str))
        x, given = rows["text"].to_numpy(), keras.Input((1,), dtype="string")
        middle = [layers.Embedding(50, 4), layers.GlobalAveragePooling1D()]
    elif kind == "words":
        first = layers.StringLookup(output_mode="one_hot")
        first.adapt(rows["shop"].to_numpy().astype(str))
        x, given, middle = rows["shop"].to_numpy(), keras.Input((1,), dtype="string"), []
    else:
        first = layers.IntegerLookup(output_mode="one_hot")
        first.adapt(rows["code"].to_numpy())
        x, given, middle = rows["code"].to_numpy(), keras.Input((1,), dtype="int64"), []
    network = keras.Sequential([given, first, *middle, layers.Dense(1, activation="sigmoid")])
    network.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    column = {"texts": "text", "words": "shop", "numbers": "code"}[kind]
    fed = to_tensor(x)
    network.fit(fed, rows["y"].to_numpy(), epochs=6, verbose=0)
    return network, column


def to_tensor(x):
    import tensorflow as tf

    return tf.constant(np.asarray(x)[:, None])


@pytest.mark.parametrize("kind", ["texts", "words", "numbers"])
def test_the_vocabulary_lives_on_from_file_to_file(kind, tmp_path: Path) -> None:
    rows, later = make_rows(300, 1), make_rows(100, 3)
    network, column = build(kind, rows)
    network.save(tmp_path / "m.keras")
    expected = network.predict(to_tensor(later[column].to_numpy()), verbose=0).ravel()
    registry = em.open(tmp_path / "r")
    table = rows.select(column, "y")
    model = registry.adopt(tmp_path / "m.keras", data=table, target="y", name="m")
    answers = np.asarray(model.predict(later.select(column))["p_1"])
    np.testing.assert_allclose(answers, expected, atol=1e-6)
    live = registry.adopt(network, data=table, target="y", name="live")  # its words are in no setting
    np.testing.assert_allclose(np.asarray(live.predict(later.select(column))["p_1"]), expected, atol=1e-6)
    model.update(make_rows(300, 2).select(column, "y"), strategy="replay", settings={"epochs": 2})
    model.save(tmp_path / "out.keras", version="v2", proof=kind == "texts")
    plain = keras.models.load_model(tmp_path / "out.keras")
    words = [e.get_vocabulary() for e in (network.layers[0], plain.layers[0])]
    assert words[0] == words[1]
    own = plain.predict(to_tensor(later[column].to_numpy()), verbose=0).ravel()
    np.testing.assert_allclose(np.asarray(model.version("v2").predict(later.select(column))["p_1"]), own, atol=1e-6)


def test_words_that_are_not_in_the_file_are_asked_for(tmp_path: Path) -> None:
    network, _ = build("texts", make_rows(200, 1))
    network.save(tmp_path / "m.h5")
    with pytest.raises(BadModel, match=r"words that TextVectorization .* knows are not in the file") as caught:
        open_model(tmp_path / "m.h5")
    assert ".keras" in caught.value.hint


@pytest.mark.parametrize("name", ["assets/../../vocabulary.txt", "assets/layers/x/words.txt", "assets/vocabulary.txt"])
def test_other_files_of_layers_are_refused(name, tmp_path: Path) -> None:
    network, _ = build("words", make_rows(200, 1))
    network.save(tmp_path / "m.keras")
    shutil.copy(tmp_path / "m.keras", tmp_path / "evil.keras")
    with zipfile.ZipFile(tmp_path / "evil.keras", "a") as archive:
        archive.writestr(name, "word\n")
    with pytest.raises(Unsafe, match="member"):
        open_model(tmp_path / "evil.keras")
