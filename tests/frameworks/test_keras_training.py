"""Training, predicting and widening Keras models."""

from __future__ import annotations

import dataclasses
import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras
from keras import layers
from keras_networks import TWO, compiled, network, rows

from evermodel.core.errors import BadModel
from evermodel.core.model.training import Training
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks import keras as plugin


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a.get_weights(), b.get_weights(), strict=True))


def heard() -> tuple[list[Epoch], dict[str, Any]]:
    epochs: list[Epoch] = []
    return epochs, {"on_epoch": epochs.append}


@pytest.mark.parametrize("from_scratch", [False, True])
def test_fit_gives_a_new_better_model_and_leaves_the_old_one_alone(from_scratch: bool) -> None:
    model = compiled(network())
    x, y = rows()
    before = model.get_weights()
    state, numpy_state = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    grown = plugin.fit(model, x, y, Training(epochs=8, classes=TWO), from_scratch=from_scratch)
    assert grown is not model
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert random.getstate() == state and np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert (
        ((plugin.predict(grown, x)[:, 0] > 0.5) == y).mean()
        > 0.9
        > ((plugin.predict(model, x)[:, 0] > 0.5) == y).mean()
    )


@pytest.mark.parametrize("from_scratch", [False, True])
def test_same_seed_same_bits_other_seed_other_bits(from_scratch: bool) -> None:
    model = compiled(network(1, "sigmoid", layers.BatchNormalization(), layers.Dropout(0.3)))
    x, y = rows()
    one = Training(epochs=2, classes=TWO, seed=5)
    a, b = (plugin.fit(model, x, y, one, from_scratch=from_scratch) for _ in range(2))
    c = plugin.fit(model, x, y, dataclasses.replace(one, seed=6), from_scratch=from_scratch)
    assert same(a, b) and not same(a, c)


def test_one_epoch_is_what_keras_itself_does() -> None:
    """BatchNormalization, L2, sample weights and a shorter last batch included."""
    model = compiled(network(1, "sigmoid", layers.BatchNormalization(), layers.Dense(8, kernel_regularizer="l2")))
    x, y = rows(250)
    weight = np.linspace(0.5, 1.5, 250)
    ours = plugin.fit(model, x, y, Training(epochs=1, classes=TWO, weight=weight, seed=4), from_scratch=False)
    order = np.random.default_rng(4).permutation(250)
    model.fit(x[order], y[order], sample_weight=weight[order], batch_size=32, epochs=1, shuffle=False, verbose=0)
    assert max(np.abs(a - b).max() for a, b in zip(ours.get_weights(), model.get_weights(), strict=True)) < 1e-6


def test_a_structure_trained_before_trains_as_if_for_the_first_time() -> None:
    """The traced graph is kept and shared; nothing of the earlier training may leak into the later one."""
    from evermodel.plugins.frameworks._keras.training import tensorflow_epoch

    x, y = rows()
    model = compiled(network(1, "sigmoid", layers.BatchNormalization(), layers.Dropout(0.2)))
    one = Training(epochs=2, classes=TWO)
    tensorflow_epoch._benches.clear()
    first = plugin.fit(model, x, y, one, from_scratch=False)
    assert len(tensorflow_epoch._benches) == 1
    plugin.fit(
        first, x[:77], 1 - y[:77], dataclasses.replace(one, learning_rate=0.5, batch_size=7, seed=9), from_scratch=False
    )
    assert len(tensorflow_epoch._benches) == 1
    assert same(plugin.fit(model, x, y, one, from_scratch=False), first)
    frozen = plugin.replace_weights(model, plugin.get_weights(model))
    frozen.layers[0].trainable = False
    frozen.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    kept = plugin.fit(frozen, x, y, one, from_scratch=False)
    assert np.array_equal(kept.get_weights()[0], model.get_weights()[0])
    assert not np.array_equal(kept.get_weights()[2], model.get_weights()[2])


def test_dropout_is_active_in_training_and_off_in_prediction() -> None:
    model = compiled(network(1, "sigmoid", layers.Dropout(0.9)))
    x, y = rows()
    without = compiled(network())
    without.set_weights(model.get_weights())
    one = Training(epochs=1, classes=TWO)
    assert not same(
        plugin.fit(model, x, y, one, from_scratch=False), plugin.fit(without, x, y, one, from_scratch=False)
    )
    assert np.array_equal(plugin.predict(model, x), plugin.predict(without, x))


def test_epochs_validation_and_scores_are_reported() -> None:
    epochs, told = heard()
    x, y = rows()
    plugin.fit(
        compiled(network()),
        x,
        y,
        Training(epochs=3, classes=TWO, validation=(x[:200], y[:200]), **told),
        from_scratch=True,
    )
    assert [e.number for e in epochs] == [1, 2, 3]
    assert epochs[2].loss < epochs[0].loss
    assert all(e.validation_loss is not None and 0.3 < (e.validation_score or 0) <= 1 for e in epochs)


def test_a_deadline_ends_training_between_epochs() -> None:
    epochs, told = heard()
    x, y = rows()
    past = Training(epochs=50, classes=TWO, deadline=time.monotonic() - 1, **told)
    model = compiled(network())
    assert same(plugin.fit(model, x, y, past, from_scratch=False), model)
    assert epochs == []


def test_the_learning_rate_is_the_files_own_unless_given() -> None:
    model = compiled(network(), rate=0.0)
    x, y = rows()
    assert same(plugin.fit(model, x, y, Training(epochs=1, classes=TWO), from_scratch=False), model)
    moved = plugin.fit(model, x, y, Training(epochs=1, classes=TWO, learning_rate=0.01), from_scratch=False)
    assert not same(moved, model)
    assert float(np.asarray(model.optimizer.learning_rate)) == 0.0


def test_zero_weight_rows_are_not_learnt() -> None:
    model = compiled(network())
    x, y = rows()
    flipped = np.concatenate([y, 1 - y])
    weight = np.concatenate([np.ones(len(y)), np.zeros(len(y))])
    grown = plugin.fit(
        model, np.concatenate([x, x]), flipped, Training(epochs=8, classes=TWO, weight=weight), from_scratch=False
    )
    assert ((plugin.predict(grown, x)[:, 0] > 0.5) == y).mean() > 0.9


HEADS = {
    "sigmoid, binary_crossentropy": (1, "sigmoid", "binary_crossentropy", TWO),
    "logit, binary_crossentropy": (1, None, keras.losses.BinaryCrossentropy(from_logits=True), TWO),
    "softmax of two, sparse": (2, "softmax", "sparse_categorical_crossentropy", TWO),
    "softmax of two, one-hot": (2, "softmax", "categorical_crossentropy", TWO),
    "softmax of three, sparse": (3, "softmax", "sparse_categorical_crossentropy", (0, 1, 2)),
    "softmax of three, one-hot": (3, "softmax", "categorical_crossentropy", (0, 1, 2)),
    "logits of three, sparse": (3, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), (0, 1, 2)),
    "not compiled, sigmoid": (1, "sigmoid", None, TWO),
    "not compiled, softmax": (3, "softmax", None, (0, 1, 2)),
}


@pytest.mark.parametrize(("outputs", "activation", "loss", "classes"), HEADS.values(), ids=HEADS.keys())
def test_every_kind_of_head_learns_from_codes(outputs: int, activation: str, loss: Any, classes: Any) -> None:
    model = network(outputs, activation)
    model = model if loss is None else compiled(model, loss)
    x, y = rows(classes=len(classes))
    epochs, told = heard()
    plugin.fit(
        model,
        x,
        y,
        Training(epochs=25, classes=classes, learning_rate=0.01, validation=(x, y), **told),
        from_scratch=False,
    )
    assert (epochs[-1].validation_score or 0) > 0.9
    assert plugin.read_signature(model).task == ("binary" if len(classes) == 2 else "multiclass")


def test_a_regression_learns_numbers_and_reports_r2() -> None:
    model = compiled(network(1, None), "mean_squared_error")
    x, _ = rows()
    y = 3 * x[:, 0] - x[:, 1]
    epochs, told = heard()
    plugin.fit(model, x, y, Training(epochs=20, validation=(x, y), **told), from_scratch=True)
    assert (epochs[-1].validation_score or 0) > 0.9
    needs = plugin.read_signature(model)
    assert (needs.task, needs.output, needs.outputs, needs.shape) == ("regression", "value", 1, (6,))


def test_needs_knows_logits_and_images() -> None:
    logits = plugin.read_signature(
        compiled(network(3, None), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    )
    assert (logits.output, logits.task) == ("logit", "multiclass")
    image = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4, activation="softmax")])
    assert (plugin.read_signature(image).layout, plugin.read_signature(image).shape) == ("image", (8, 8, 3))


def test_prediction_equals_keras_for_any_number_of_rows() -> None:
    model = network()
    x = rows(40_000)[0]
    for n in (0, 1, 7, 40_000):
        mine = plugin.predict(model, x[:n])
        assert mine.shape == (n, 1) and mine.dtype == np.float32
        assert n == 0 or np.abs(mine - np.asarray(model(x[:n]))).max() < 1e-6


def test_a_predicted_model_can_be_freed() -> None:
    import gc
    import weakref

    model = network()
    plugin.predict(model, rows(5)[0])
    seen = weakref.ref(model)
    del model
    gc.collect()
    assert seen() is None


def test_several_inputs_are_fed_from_one_matrix_and_models_without_shape_are_refused() -> None:
    a, b = keras.Input((2,), name="left"), keras.Input((3,), name="right")
    model = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    needs = plugin.read_signature(model)
    assert [(t.name, t.shape, t.dtype) for t in needs.inputs] == [("left", (2,), "float32"), ("right", (3,), "float32")]
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    assert needs.shape == (5,)
    np.testing.assert_allclose(plugin.predict(model, x), model.predict([x[:, :2], x[:, 2:]], verbose=0), atol=1e-6)
    with pytest.raises(BadModel, match="takes 5 numbers a row"):
        plugin.predict(model, x[:, :4])
    with pytest.raises(BadModel, match="shape of its input"):
        plugin.predict(keras.Sequential([layers.Dense(1)]), np.zeros((1, 2)))


def test_more_classes_than_outputs_are_refused() -> None:
    x, y = rows(classes=3)
    with pytest.raises(BadModel, match="Widen"):
        plugin.fit(compiled(network()), x, y, Training(classes=(0, 1, 2)), from_scratch=False)


def test_owns_knows_subclasses_of_the_users_own() -> None:
    class Mine(keras.Model):
        pass

    assert plugin.is_model(network()) and plugin.is_model(Mine())
    assert not plugin.is_model(layers.Dense(1)) and not plugin.is_model([])


def test_weights_are_copies_and_can_be_put_back() -> None:
    model = compiled(network(1, "sigmoid", layers.BatchNormalization()))
    arrays = plugin.get_weights(model)
    arrays[0] += 1
    other = plugin.replace_weights(model, arrays)
    assert not same(other, model)
    assert all(np.array_equal(a, b) for a, b in zip(plugin.get_weights(other), arrays, strict=True))
    with pytest.raises(BadModel, match="shapes"):
        plugin.replace_weights(model, arrays[:-1])


OTHER_BACKEND = """
import numpy as np, keras
from pathlib import Path
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import keras as plugin
x = np.random.default_rng(0).normal(size=(200, 6)).astype("float32"); y = (x[:, 0] > 0).astype(int)
model = plugin.read_file(Path({path!r}))
assert keras.backend.backend() == {backend!r}
assert np.abs(plugin.predict(model, x) - np.load({expected!r})).max() < 1e-5
seen = []
one = Training(epochs=4, classes=(0, 1), seed=1, validation=(x, y), on_epoch=seen.append)
a, b = (plugin.fit(model, x, y, one, from_scratch=True) for _ in range(2))
assert all(np.array_equal(p, q) for p, q in zip(plugin.get_weights(a), plugin.get_weights(b)))
assert len(seen) == 8 and seen[3].loss < seen[0].loss, seen
everything = lambda: [np.array(v) for v in (*model.variables, *model.optimizer.variables)]
before = everything()
for training in (Training(epochs=2, classes=(0, 1)), Training(steps=8, decay=True, classes=(0, 1))):
    trained = plugin.fit(model, x, y, training, from_scratch=False)
    assert not np.array_equal(plugin.get_weights(trained)[0], plugin.get_weights(model)[0])
    assert all(np.array_equal(p, q) for p, q in zip(before, everything()))
    again = plugin.fit(trained, x, y, training, from_scratch=False)
    for written in (model, trained, again):
        plugin.write_file(written, Path({path!r} + ".keras"))
"""


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_another_backend_reads_predicts_and_trains(tmp_path: Path, backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs pip install {backend} (in the extra dev)")
    model = compiled(network(1, "sigmoid", layers.BatchNormalization(), layers.Dropout(0.2)))
    plugin.write_file(model, tmp_path / "m.h5")
    np.save(tmp_path / "p.npy", plugin.predict(model, rows(200)[0]))
    script = OTHER_BACKEND.format(path=str(tmp_path / "m.h5"), backend=backend, expected=str(tmp_path / "p.npy"))
    import os

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
