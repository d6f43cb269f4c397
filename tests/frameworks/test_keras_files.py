"""Files of Keras 2 and 3 are adopted, trained and written back, and plain Keras takes them."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras
import keras_two_files as two
from keras import layers

from evermodel.core.errors import BadModel, BadSetting, NotFound, Unsafe
from evermodel.core.model.training import Training
from evermodel.core.plugins import Confidence
from evermodel.plugins.frameworks import keras as plugin

ROWS = 96
TRAINING = Training(epochs=2, classes=(0, 1), seed=3)


def rows(shape: tuple[int, ...]) -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(ROWS, *shape)).astype("float32")
    return x, (x.reshape(ROWS, -1).sum(1) > 0).astype("int64")


def trained(stack: list[Any], shape: tuple[int, ...]) -> Any:
    """A Keras model with a trained optimizer, so that there is something to lose."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(shape), *stack, layers.Dense(1, activation="sigmoid", name="head")])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    model.fit(*rows(shape), epochs=2, verbose=0, shuffle=False)
    return model


def tabular() -> tuple[Any, list[two.CLASS], tuple[int, ...]]:
    stack = [layers.Dense(8, activation="relu", name="first"), layers.BatchNormalization(name="norm")]
    old = [two.dense("first", 8, "relu"), two.batch_normalization("norm"), two.dense("head", 1, "sigmoid")]
    return trained(stack, (4,)), old, (4,)


def series() -> tuple[Any, list[two.CLASS], tuple[int, ...]]:
    old = [two.lstm("series", 5), two.dense("head", 1, "sigmoid")]
    return trained([layers.LSTM(5, name="series")], (6, 3)), old, (6, 3)


def image() -> tuple[Any, list[two.CLASS], tuple[int, ...]]:
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depth")
    old = [two.depthwise("depth"), two.flatten("flat"), two.dense("head", 1, "sigmoid")]
    return trained([depthwise, layers.Flatten(name="flat")], (8, 8, 3)), old, (8, 8, 3)


MODELS = {"tabular": tabular, "series": series, "image": image}


def keras_two(at: Path, made: Any, old: list[two.CLASS], shape: tuple[int, ...]) -> Path:
    two.write(at / "old.h5", two.sequential(old, [None, *shape]), made)
    return at / "old.h5"


def keras_two_functional(at: Path, made: Any, old: list[two.CLASS], shape: tuple[int, ...]) -> Path:
    two.write(at / "old.h5", two.functional(old, [None, *shape]), made, legacy_optimizer=True)
    return at / "old.h5"


def keras_three_h5(at: Path, made: Any, old: list[two.CLASS], shape: tuple[int, ...]) -> Path:
    made.save(at / "new.h5")
    return at / "new.h5"


def keras_three(at: Path, made: Any, old: list[two.CLASS], shape: tuple[int, ...]) -> Path:
    made.save(at / "new.keras")
    return at / "new.keras"


FILES = {
    "Keras 2 .h5": keras_two,
    "Keras 2 .h5, functional, old optimizer": keras_two_functional,
    "Keras 3 .h5": keras_three_h5,
    "Keras 3 .keras": keras_three,
}
every_file = pytest.mark.parametrize("write", FILES.values(), ids=FILES.keys())
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
Writer = Callable[[Path, Any, list[two.CLASS], tuple[int, ...]], Path]


def plain(model: Any, x: Any) -> Any:
    return np.asarray(model(x, training=False))


@every_model
@every_file
def test_a_file_is_adopted_trained_and_handed_back(tmp_path: Path, make: Any, write: Writer) -> None:
    made, old, shape = make()
    x, y = rows(shape)
    path = write(tmp_path, made, old, shape)
    assert plugin.recognize(path) is Confidence.CERTAIN
    model = plugin.read_file(path)
    assert plugin.is_model(model)
    assert np.abs(plain(made, x) - plain(model, x)).max() == 0
    grown = plugin.fit(model, x, y, TRAINING, from_scratch=False)
    for suffix in plugin.suffixes():
        plugin.write_file(grown, tmp_path / f"back{suffix}")
        theirs = keras.models.load_model(tmp_path / f"back{suffix}")
        assert np.abs(plain(theirs, x) - plain(grown, x)).max() == 0
        theirs.fit(x, y, epochs=1, verbose=0)  # plain Keras can go on from what we wrote


@every_model
@every_file
def test_resuming_equals_an_uninterrupted_run(tmp_path: Path, make: Any, write: Writer) -> None:
    made, old, shape = make()
    x, y = rows(shape)
    resumed = plugin.read_file(write(tmp_path, made, old, shape))
    for model in (made, resumed):
        model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    assert max(np.abs(a - b).max() for a, b in zip(made.get_weights(), resumed.get_weights(), strict=True)) == 0


@pytest.mark.parametrize("suffix", plugin.suffixes())
def test_what_we_write_keeps_the_optimizers_memory_for_us(tmp_path: Path, suffix: str) -> None:
    made, _, _ = tabular()
    plugin.write_file(made, tmp_path / f"m{suffix}")
    again = plugin.read_file(tmp_path / f"m{suffix}")
    pairs = list(zip(made.optimizer.variables, again.optimizer.variables, strict=True))
    assert len(pairs) > 4
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


def test_writing_h5_leaves_the_live_model_able_to_write_keras(tmp_path: Path) -> None:
    made, _, _ = tabular()
    plugin.write_file(made, tmp_path / "first.h5")
    plugin.write_file(made, tmp_path / "then.keras")
    with zipfile.ZipFile(tmp_path / "then.keras") as archive:
        (tmp_path / "w.h5").write_bytes(archive.read("model.weights.h5"))
    import h5py

    with h5py.File(tmp_path / "w.h5") as file:
        assert len(file["optimizer/vars"]) == len(made.optimizer.variables) > 4


@every_model
def test_saved_and_loaded_is_the_same_to_the_bit(tmp_path: Path, make: Any) -> None:
    made, _, shape = make()
    x, _ = rows(shape)
    plugin.save(made, tmp_path)
    again = plugin.load(tmp_path)
    assert np.array_equal(plugin.predict(made, x), plugin.predict(again, x))
    assert all(
        np.array_equal(np.asarray(a), np.asarray(b))
        for a, b in zip(made.optimizer.variables, again.optimizer.variables, strict=True)
    )


def test_nested_shared_and_arithmetic_models_are_read(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation="relu"), layers.BatchNormalization()])
    given = keras.Input((12,))
    shared = inner(given[:, :6]) * 2.0 + inner(given[:, 6:])
    wrapped = layers.Bidirectional(layers.LSTM(2))(layers.Reshape((4, 3))(given))
    slow = layers.TimeDistributed(layers.Dense(2))(layers.Reshape((4, 3))(given))
    joined = layers.Concatenate()([shared, wrapped, layers.Flatten()(slow)])
    made = keras.Model(given, layers.Dense(3, activation="softmax")(joined))
    made.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(20, 12)).astype("float32")
    plugin.save(made, tmp_path)
    assert np.array_equal(plugin.predict(plugin.load(tmp_path), x), plugin.predict(made, x))
    grown = plugin.fit(made, x, np.arange(20) % 3, Training(epochs=1, classes=(0, 1, 2)), from_scratch=False)
    assert not np.array_equal(plugin.predict(grown, x), plugin.predict(made, x))


def test_an_unknown_loss_is_left_out_with_a_warning(tmp_path: Path) -> None:
    made, _, _ = tabular()
    made.compile("adam", "a_loss_of_my_own")
    made.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="without its training settings"):
        model = plugin.read_file(tmp_path / "m.keras")
    assert not model.compiled


@pytest.mark.parametrize("suffix", plugin.suffixes())
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused_with_a_hint(tmp_path: Path, suffix: str, share: float) -> None:
    made, _, _ = tabular()
    whole = tmp_path / f"m{suffix}"
    plugin.write_file(made, whole)
    whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    with pytest.raises(BadModel) as caught:
        plugin.read_file(whole)
    assert caught.value.hint


def test_a_pickle_a_text_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "pickle.h5").write_bytes(b"\x80\x05]\x94.")
    (tmp_path / "text.h5").write_text("model")
    with pytest.raises(BadModel, match="pickle"):
        plugin.read_file(tmp_path / "pickle.h5")
    with pytest.raises(BadModel, match="neither"):
        plugin.read_file(tmp_path / "text.h5")
    with pytest.raises(NotFound):
        plugin.read_file(tmp_path / "none.h5")
    assert plugin.recognize(tmp_path / "pickle.h5") is Confidence.NO


def test_weights_alone_are_refused(tmp_path: Path) -> None:
    made, _, _ = tabular()
    made.save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(BadModel, match="structure"):
        plugin.read_file(tmp_path / "only.weights.h5")


def test_factory_and_foreign_suffixes_are_refused(tmp_path: Path) -> None:
    made, _, _ = tabular()
    with pytest.raises(BadSetting):
        plugin.read_file(tmp_path / "m.keras", factory="my:model")
    with pytest.raises(BadSetting):
        plugin.write_file(made, tmp_path / "m.onnx")


def test_a_model_with_code_is_not_saved(tmp_path: Path) -> None:
    made = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda t: t * 2), layers.Dense(1)])
    with pytest.raises(Unsafe, match="Lambda"):
        plugin.save(made, tmp_path)
    assert list(tmp_path.iterdir()) == []


def branches() -> list[Any]:
    return [layers.Dense(4, activation="tanh", name=name) for name in ("left", "middle", "right")]


@pytest.mark.parametrize("is_nested", [False, True], ids=["branches", "branches of a nested model"])
def test_weights_are_found_by_their_layers_names(tmp_path: Path, is_nested: bool) -> None:
    """Layers of one shape in another order than ours: by their places each would get the weights of another."""
    import h5py

    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    joined = layers.Concatenate()([branch(inputs) for branch in branches()])
    body = keras.Model(inputs, layers.Dense(2, name="last")(joined), name="body")
    model = keras.Sequential([keras.Input((5,)), body, layers.Dense(1, name="head")]) if is_nested else body
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        weights = file["model_weights"]
        holder, attribute = (weights["body"], "weight_names") if is_nested else (weights, "layer_names")
        names = list(holder.attrs[attribute])
        holder.attrs[attribute] = names[::-1]
    x = np.random.default_rng(0).normal(size=(30, 5)).astype("float32")
    np.testing.assert_allclose(plain(plugin.read_file(tmp_path / "m.h5"), x), plain(model, x), atol=1e-6)
