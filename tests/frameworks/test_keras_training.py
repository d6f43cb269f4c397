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

from evermodel.core.errors import BadModel
from evermodel.core.training import Epoch, Training
from evermodel.frameworks import keras as plug

TWO = (0, 1)


def network(outputs: int = 1, activation: str | None = "sigmoid", *inside: Any, inputs: int = 6) -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            layers.Dense(16, activation="relu"),
            *inside,
            layers.Dense(outputs, activation=activation),
        ]
    )


def compiled(model: Any, loss: Any = "binary_crossentropy", rate: float = 0.01) -> Any:
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def rows(n: int = 600, classes: int = 2) -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(n, 6)).astype("float32")
    return x, np.clip((x[:, 0] + x[:, 1] + 1).astype(int), 0, classes - 1)


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a.get_weights(), b.get_weights(), strict=True))


def heard() -> tuple[list[Epoch], dict[str, Any]]:
    epochs: list[Epoch] = []
    return epochs, {"on_epoch": epochs.append}


@pytest.mark.parametrize("fresh", [False, True])
def test_fit_gives_a_new_better_model_and_leaves_the_old_one_alone(fresh: bool) -> None:
    model = compiled(network())
    x, y = rows()
    before = model.get_weights()
    state, numpy_state = random.getstate(), np.random.get_state()[1].copy()
    grown = plug.fit(model, x, y, Training(epochs=8, classes=TWO), fresh=fresh)
    assert grown is not model
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert random.getstate() == state and np.array_equal(np.random.get_state()[1], numpy_state)
    assert ((plug.predict(grown, x)[:, 0] > 0.5) == y).mean() > 0.9 > ((plug.predict(model, x)[:, 0] > 0.5) == y).mean()


@pytest.mark.parametrize("fresh", [False, True])
def test_same_seed_same_bits_other_seed_other_bits(fresh: bool) -> None:
    model = compiled(network(1, "sigmoid", layers.BatchNormalization(), layers.Dropout(0.3)))
    x, y = rows()
    one = Training(epochs=2, classes=TWO, seed=5)
    a, b = (plug.fit(model, x, y, one, fresh=fresh) for _ in range(2))
    c = plug.fit(model, x, y, dataclasses.replace(one, seed=6), fresh=fresh)
    assert same(a, b) and not same(a, c)


def test_one_epoch_is_what_keras_itself_does() -> None:
    """BatchNormalization, L2, sample weights and a shorter last batch included."""
    model = compiled(network(1, "sigmoid", layers.BatchNormalization(), layers.Dense(8, kernel_regularizer="l2")))
    x, y = rows(250)
    weight = np.linspace(0.5, 1.5, 250)
    ours = plug.fit(model, x, y, Training(epochs=1, classes=TWO, weight=weight, seed=4), fresh=False)
    order = np.random.default_rng(4).permutation(250)
    model.fit(x[order], y[order], sample_weight=weight[order], batch_size=32, epochs=1, shuffle=False, verbose=0)
    assert max(np.abs(a - b).max() for a, b in zip(ours.get_weights(), model.get_weights(), strict=True)) < 1e-6


def test_dropout_is_active_in_training_and_off_in_prediction() -> None:
    model = compiled(network(1, "sigmoid", layers.Dropout(0.9)))
    x, y = rows()
    without = compiled(network())
    without.set_weights(model.get_weights())
    one = Training(epochs=1, classes=TWO)
    assert not same(plug.fit(model, x, y, one, fresh=False), plug.fit(without, x, y, one, fresh=False))
    assert np.array_equal(plug.predict(model, x), plug.predict(without, x))


def test_epochs_validation_and_scores_are_reported() -> None:
    epochs, told = heard()
    x, y = rows()
    plug.fit(
        compiled(network()), x, y, Training(epochs=3, classes=TWO, validation=(x[:200], y[:200]), **told), fresh=True
    )
    assert [e.number for e in epochs] == [1, 2, 3]
    assert epochs[2].loss < epochs[0].loss
    assert all(e.validation_loss is not None and 0.3 < (e.validation_score or 0) <= 1 for e in epochs)


def test_a_deadline_ends_training_between_epochs() -> None:
    epochs, told = heard()
    x, y = rows()
    past = Training(epochs=50, classes=TWO, deadline=time.monotonic() - 1, **told)
    model = compiled(network())
    assert same(plug.fit(model, x, y, past, fresh=False), model)
    assert epochs == []


def test_the_learning_rate_is_the_files_own_unless_given() -> None:
    model = compiled(network(), rate=0.0)
    x, y = rows()
    assert same(plug.fit(model, x, y, Training(epochs=1, classes=TWO), fresh=False), model)
    moved = plug.fit(model, x, y, Training(epochs=1, classes=TWO, learning_rate=0.01), fresh=False)
    assert not same(moved, model)
    assert float(np.asarray(model.optimizer.learning_rate)) == 0.0


def test_zero_weight_rows_are_not_learnt() -> None:
    model = compiled(network())
    x, y = rows()
    flipped = np.concatenate([y, 1 - y])
    weight = np.concatenate([np.ones(len(y)), np.zeros(len(y))])
    grown = plug.fit(
        model, np.concatenate([x, x]), flipped, Training(epochs=8, classes=TWO, weight=weight), fresh=False
    )
    assert ((plug.predict(grown, x)[:, 0] > 0.5) == y).mean() > 0.9


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
    plug.fit(model, x, y, Training(epochs=25, classes=classes, validation=(x, y), **told), fresh=False)
    assert (epochs[-1].validation_score or 0) > 0.9
    assert plug.needs(model).task == ("binary" if len(classes) == 2 else "multiclass")


def test_a_regression_learns_numbers_and_reports_r2() -> None:
    model = compiled(network(1, None), "mean_squared_error")
    x, _ = rows()
    y = 3 * x[:, 0] - x[:, 1]
    epochs, told = heard()
    plug.fit(model, x, y, Training(epochs=20, validation=(x, y), **told), fresh=True)
    assert (epochs[-1].validation_score or 0) > 0.9
    needs = plug.needs(model)
    assert (needs.task, needs.output, needs.outputs, needs.shape) == ("regression", "value", 1, (6,))


def test_needs_knows_logits_and_images() -> None:
    logits = plug.needs(compiled(network(3, None), keras.losses.SparseCategoricalCrossentropy(from_logits=True)))
    assert (logits.output, logits.task) == ("logit", "multiclass")
    image = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4, activation="softmax")])
    assert (plug.needs(image).layout, plug.needs(image).shape) == ("image", (8, 8, 3))


def test_prediction_equals_keras_for_any_number_of_rows() -> None:
    model = network()
    x = rows(40_000)[0]
    for n in (0, 1, 7, 40_000):
        mine = plug.predict(model, x[:n])
        assert mine.shape == (n, 1) and mine.dtype == np.float32
        assert n == 0 or np.abs(mine - np.asarray(model(x[:n]))).max() < 1e-6


def test_a_predicted_model_can_be_freed() -> None:
    import gc
    import weakref

    model = network()
    plug.predict(model, rows(5)[0])
    seen = weakref.ref(model)
    del model
    gc.collect()
    assert seen() is None


def test_several_inputs_and_models_without_shape_are_refused() -> None:
    a, b = keras.Input((2,)), keras.Input((3,))
    with pytest.raises(BadModel, match="one input"):
        plug.needs(keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b]))))
    with pytest.raises(BadModel, match="shape of its input"):
        plug.predict(keras.Sequential([layers.Dense(1)]), np.zeros((1, 2)))


def test_more_classes_than_outputs_are_refused() -> None:
    x, y = rows(classes=3)
    with pytest.raises(BadModel, match="Widen"):
        plug.fit(compiled(network()), x, y, Training(classes=(0, 1, 2)), fresh=False)


def test_owns_knows_subclasses_of_the_users_own() -> None:
    class Mine(keras.Model):
        pass

    assert plug.owns(network()) and plug.owns(Mine())
    assert not plug.owns(layers.Dense(1)) and not plug.owns([])


def test_weights_are_copies_and_can_be_put_back() -> None:
    model = compiled(network(1, "sigmoid", layers.BatchNormalization()))
    arrays = plug.weights(model)
    arrays[0] += 1
    other = plug.with_weights(model, arrays)
    assert not same(other, model)
    assert all(np.array_equal(a, b) for a, b in zip(plug.weights(other), arrays, strict=True))
    with pytest.raises(BadModel, match="shapes"):
        plug.with_weights(model, arrays[:-1])


@pytest.mark.parametrize(
    ("outputs", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (3, "softmax", "sparse_categorical_crossentropy"),
        (3, "softmax", "categorical_crossentropy"),
    ],
)
def test_new_classes_leave_old_predictions_as_they_were(outputs: int, activation: str, loss: str) -> None:
    classes = max(outputs, 2)
    x, y = rows(classes=classes)
    model = plug.fit(
        compiled(network(outputs, activation), loss), x, y, Training(epochs=3, classes=(*range(classes),)), fresh=False
    )
    wide = plug.widened(model, inputs=6, outputs=classes + 2)
    old, new = plug.predict(model, x), plug.predict(wide, x)
    old = np.concatenate([1 - old, old], axis=1) if outputs == 1 else old
    assert np.abs(new[:, :classes] - old).max() < 1e-6
    assert new[:, classes:].max() < 1e-6
    more = (*range(classes + 2),)
    taught = plug.fit(wide, x, np.where(x[:, 2] > 0.5, classes, y), Training(epochs=15, classes=more), fresh=False)
    assert (plug.predict(taught, x).argmax(1)[x[:, 2] > 0.8] == classes).mean() > 0.8


def functional() -> Any:
    keras.utils.set_random_seed(0)
    given = keras.Input((6,))
    return keras.Model(given, layers.Dense(1, activation="sigmoid")(layers.Dense(5, activation="relu")(given)))


@pytest.mark.parametrize("make", [network, functional])
def test_new_inputs_change_nothing_until_they_are_learnt(make: Any, tmp_path: Path) -> None:
    model = compiled(make())
    wide = plug.widened(model, inputs=9, outputs=1)
    x = np.random.default_rng(1).normal(size=(50, 9)).astype("float32")
    assert np.abs(plug.predict(wide, x) - plug.predict(model, x[:, :6])).max() < 1e-6
    plug.save(wide, tmp_path)
    assert np.array_equal(plug.predict(plug.load(tmp_path), x), plug.predict(wide, x))
    grown = plug.fit(wide, x, (x[:, 8] > 0).astype(int), Training(epochs=40, classes=TWO), fresh=False)
    assert ((plug.predict(grown, x)[:, 0] > 0.5) == (x[:, 8] > 0)).mean() > 0.9


def test_what_cannot_be_widened_says_why() -> None:
    with pytest.raises(BadModel, match="only be widened"):
        plug.widened(network(3, "softmax"), inputs=6, outputs=2)
    with pytest.raises(BadModel, match="classifier"):
        plug.widened(compiled(network(1, None), "mse"), inputs=6, outputs=2)
    image = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4, activation="softmax")])
    with pytest.raises(BadModel, match="New inputs"):
        plug.widened(image, inputs=4, outputs=4)


OTHER_BACKEND = """
import numpy as np, keras
from pathlib import Path
from evermodel.core.training import Training
from evermodel.frameworks import keras as plug
x = np.random.default_rng(0).normal(size=(200, 6)).astype("float32"); y = (x[:, 0] > 0).astype(int)
model = plug.read(Path({path!r}))
assert keras.backend.backend() == {backend!r}
assert np.abs(plug.predict(model, x) - np.load({expected!r})).max() < 1e-5
seen = []
one = Training(epochs=4, classes=(0, 1), seed=1, validation=(x, y), on_epoch=seen.append)
a, b = (plug.fit(model, x, y, one, fresh=True) for _ in range(2))
assert all(np.array_equal(p, q) for p, q in zip(plug.weights(a), plug.weights(b)))
assert len(seen) == 8 and seen[3].loss < seen[0].loss, seen
"""


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_another_backend_reads_predicts_and_trains(tmp_path: Path, backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs pip install {backend}")
    model = compiled(network(1, "sigmoid", layers.BatchNormalization(), layers.Dropout(0.2)))
    plug.write(model, tmp_path / "m.h5")
    np.save(tmp_path / "p.npy", plug.predict(model, rows(200)[0]))
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
