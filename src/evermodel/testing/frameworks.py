"""What every framework must promise. ``check_framework`` runs all checks; its error names the promise that is broken.

A check of an optional ability returns at once where the framework does not have it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import AskedWrongly, BadModel, BadSetting
from evermodel.core.model.capabilities import (
    Combinable,
    RoundCount,
    Truncatable,
    Tunable,
    WeightAccess,
    WeightFiles,
    Widenable,
)
from evermodel.core.model.framework import Framework, Signature
from evermodel.core.model.training import Training
from evermodel.core.plugins import Confidence
from evermodel.core.records.learning_curve import Epoch
from evermodel.testing.check_runner import run_checks

PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # how a pickle begins
CLOSE = 1e-5
LEARNED = 0.75  # share of right answers on its own training rows that a trained example must reach


@dataclass(frozen=True)
class Example:
    """A fitted object, rows for it, and other rows to train on; small enough to be trained thirty times.

    The classes, where there are any, are two, and the labels ``y`` can be learned from ``x`` within ``long`` epochs.
    """

    obj: Any
    x: Any  # (n, …), what the framework's predict takes
    y: Array  # (n,) codes or values
    other_x: Any
    other_y: Array
    classes: tuple[Any, ...] = ()
    continues: bool = True  # fit(from_scratch=False) is possible
    long: int = 60  # epochs, or rounds, after which the labels are learned

    def training(self, **changes: Any) -> Training:
        """A short training with a fixed seed, with some fields changed."""
        return Training(**{"classes": self.classes, "seed": 7, "epochs": 3, **changes})


Check = Callable[[Framework, Example], None]


def check_fit_leaves_the_object_unchanged(framework: Framework, example: Example) -> None:
    """Training makes a new object; the given one predicts, bit by bit, what it did."""
    before = framework.predict(example.obj, example.x)
    for from_scratch in _modes(example):
        framework.fit(example.obj, example.other_x, example.other_y, example.training(), from_scratch=from_scratch)
        _assert_same(before, framework.predict(example.obj, example.x), "the given object's predictions")


def check_rows_are_not_changed(framework: Framework, example: Example) -> None:
    """Neither predicting nor training writes to the rows, labels or weights that it is given."""
    weight = np.ones(len(example.y))
    given = [np.asarray(example.x), example.y, weight]
    before = [array.copy() for array in given]
    framework.predict(example.obj, example.x)
    framework.fit(example.obj, example.x, example.y, example.training(weight=weight), from_scratch=True)
    after = [np.asarray(example.x), example.y, weight]
    for name, old, new in zip(("x", "y", "weight"), before, after, strict=True):
        _assert_same(old, new, name)


def check_save_and_load_keep_every_bit(framework: Framework, example: Example) -> None:
    """What is saved and loaded predicts the same bits and has the same signature, before and after a training."""
    trained = framework.fit(example.obj, example.x, example.y, example.training(), from_scratch=True)
    for obj in (example.obj, trained):
        with tempfile.TemporaryDirectory() as folder:
            framework.save(obj, Path(folder))
            loaded = framework.load(Path(folder))
            _assert_same(framework.predict(obj, example.x), framework.predict(loaded, example.x), "predictions")
            one, two = framework.read_signature(obj), framework.read_signature(loaded)
            assert one == two, f"the signature {one} became {two}"


def check_saved_files_hold_no_pickle(framework: Framework, example: Example) -> None:
    """What is saved can be loaded without running code: no file in the folder is a pickle, and there is a file."""
    with tempfile.TemporaryDirectory() as folder:
        framework.save(example.obj, Path(folder))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        assert files, "nothing was saved"
        pickles = [path.name for path in files if path.read_bytes()[:2] in PICKLES]
        assert not pickles, f"{', '.join(pickles)} is a pickle"


def check_same_seed_same_model(framework: Framework, example: Example) -> None:
    """The same rows and the same seed give the same predictions, bit by bit."""
    for from_scratch in _modes(example):
        one, two = (
            framework.fit(example.obj, example.x, example.y, example.training(), from_scratch=from_scratch)
            for _ in range(2)
        )
        _assert_same(framework.predict(one, example.x), framework.predict(two, example.x), "predictions")


def check_from_scratch_forgets_the_parameters(framework: Framework, example: Example) -> None:
    """A training from scratch ends at the same model whatever the given object had learned before."""
    elsewhere = framework.fit(example.obj, example.other_x, example.other_y, example.training(), from_scratch=True)
    one, two = (
        framework.fit(obj, example.x, example.y, example.training(), from_scratch=True)
        for obj in (example.obj, elsewhere)
    )
    differ = not np.array_equal(framework.predict(elsewhere, example.x), framework.predict(one, example.x))
    assert differ, "training on other rows gave the same model"
    _assert_same(framework.predict(one, example.x), framework.predict(two, example.x), "predictions")


def check_fit_learns(framework: Framework, example: Example) -> None:
    """A training that is long enough learns its rows: most labels right, or most of the variance explained."""
    training = example.training(epochs=example.long)
    model = framework.fit(example.obj, example.x, example.y, training, from_scratch=True)
    raw = framework.predict(model, example.x)
    if example.classes:
        share = float((_codes(raw, framework.read_signature(model)) == example.y).mean())
    else:
        share = 1.0 - float(((raw.reshape(-1) - example.y) ** 2).mean() / example.y.var())
    assert share >= LEARNED, f"only {share:.2f} of its training rows is learned"


def check_row_weights_matter(framework: Framework, example: Example) -> None:
    """``training.weight`` counts: a training where some rows weigh nearly nothing gives another model."""
    heavy = np.where(np.arange(len(example.y)) % 3 == 0, 0.02, 1.49)
    plain, weighted = (
        framework.fit(example.obj, example.x, example.y, example.training(weight=weight), from_scratch=True)
        for weight in (None, heavy)
    )
    differ = not np.array_equal(framework.predict(plain, example.x), framework.predict(weighted, example.x))
    assert differ, "the weights changed nothing"


def check_epochs_are_reported(framework: Framework, example: Example) -> None:
    """At least one epoch is reported, numbered from 1, its loss a finite number; the watched rows' too if given."""
    epochs: list[Epoch] = []
    training = example.training(on_epoch=epochs.append, validation=(example.other_x, example.other_y))
    framework.fit(example.obj, example.x, example.y, training, from_scratch=True)
    numbers = [epoch.number for epoch in epochs]
    assert numbers, "no epoch was reported"
    assert numbers == sorted(set(numbers)) and numbers[0] >= 1, f"the epochs have the numbers {numbers}"
    losses = [loss for epoch in epochs for loss in (epoch.loss, epoch.validation_loss)]
    assert all(loss is not None and np.isfinite(loss) for loss in losses), f"the losses are {losses}"


def check_watched_rows_are_not_trained_on(framework: Framework, example: Example) -> None:
    """``training.validation`` is watched only: the model is the same with other rows to watch."""
    one, two = (
        framework.fit(example.obj, example.x, example.y, example.training(validation=watched), from_scratch=True)
        for watched in ((example.other_x, example.other_y), (example.other_x, example.other_y[::-1].copy()))
    )
    _assert_same(framework.predict(one, example.x), framework.predict(two, example.x), "predictions")


def check_rows_are_predicted_one_by_one(framework: Framework, example: Example) -> None:
    """A row is predicted alike alone, among others, and in another order (to 1e-5: sums may be taken in parts)."""
    whole = framework.predict(example.obj, example.x)
    order = np.random.default_rng(0).permutation(len(example.y))
    parts = [framework.predict(example.obj, example.x[slice(at, at + 7)]) for at in range(0, len(order), 7)]
    shuffled = framework.predict(example.obj, example.x[order])[np.argsort(order)]
    for name, other in (("in small batches", np.concatenate(parts)), ("in another order", shuffled)):
        assert np.allclose(whole, other, rtol=CLOSE, atol=CLOSE), f"{name} rows are predicted otherwise"


def check_predictions_fit_the_signature(framework: Framework, example: Example) -> None:
    """Predictions are finite, (n,), (n, 1) or (n, k) with k the signature's outputs, and probabilities where it says
    so."""
    signature, raw = framework.read_signature(example.obj), framework.predict(example.obj, example.x)
    assert raw.shape[0] == len(example.y) and raw.ndim <= 2, f"predictions have the shape {raw.shape}"
    assert np.isfinite(raw).all(), "some predictions are not finite"
    width = raw.shape[1] if raw.ndim == 2 else 1
    assert signature.outputs in (None, width), f"the signature says {signature.outputs} outputs, there are {width}"
    if signature.output == "probability":
        assert raw.min() >= -CLOSE and raw.max() <= 1 + CLOSE, f"probabilities from {raw.min()} to {raw.max()}"


def check_written_files_are_read_back(framework: Framework, example: Example) -> None:
    """Every kind of file that it writes is recognized by its contents, and one that holds a whole model is read back
    with equal predictions.
    """
    alone = framework.WEIGHTS if isinstance(framework, WeightFiles) else ()
    expected = framework.predict(example.obj, example.x)
    for suffix in framework.suffixes():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{suffix}"
            framework.write_file(example.obj, path)
            assert path.exists(), f"no {suffix or 'folder or'} file was written"
            assert framework.recognize(path) is Confidence.CERTAIN, f"its own {suffix} file is not recognized"
            if suffix in alone:
                continue
            read = framework.predict(framework.read_file(path), example.x)
        assert np.allclose(expected, read, rtol=1e-6, atol=1e-6), f"a {suffix} file predicts otherwise"


def check_only_its_own_is_recognized(framework: Framework, example: Example) -> None:
    """It knows its objects and those that it trains, and neither objects nor files that hold no model."""
    trained = framework.fit(example.obj, example.x, example.y, example.training(), from_scratch=True)
    assert framework.is_model(example.obj), "it does not know the example's object"
    assert framework.is_model(trained), "it does not know what it trained"
    others: list[object] = [None, 1, "model", {}, np.zeros(3), Path()]
    for other in others:
        assert not framework.is_model(other), f"it takes {other!r} for a model"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.md"
        path.write_text("No model is in here.\n")
        assert framework.recognize(path) is Confidence.NO, "it claims a text file"
        assert framework.recognize(Path(folder)) is Confidence.NO, "it claims a folder"


def check_asking_imports_nothing(framework: Framework, example: Example) -> None:
    """Importing the plugin, ``is_model`` and ``recognize`` import no framework: asking must cost nothing."""
    heavy = {"sklearn", "torch", "keras", "tensorflow", type(example.obj).__module__.split(".")[0]}
    heavy -= {"evermodel", "builtins", framework.__name__.split(".")[0]}
    code = (
        "import sys, importlib, pathlib, tempfile;"
        f"plugin = importlib.import_module({framework.__name__!r});"
        "plugin.is_model(object()); at = pathlib.Path(tempfile.mkdtemp());"
        "[((at / f'm{s}').write_bytes(b'x'), plugin.recognize(at / f'm{s}')) for s in plugin.suffixes()];"
        f"print(*sorted({heavy!r} & {{m.split('.')[0] for m in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, f"it cannot be imported by itself: {done.stderr.strip()[-300:]}"
    assert not done.stdout.strip(), f"{done.stdout.strip()} was imported"


def check_new_classes_are_learned_or_refused(framework: Framework, example: Example) -> None:
    """Going on with a class that was never seen gives it a column, or is refused by an AskedWrongly."""
    if not example.classes or not example.continues:
        return
    y = example.y.copy()
    y[: len(y) // 4] = len(example.classes)
    training = example.training(classes=(*example.classes, "never seen"))
    try:
        model = framework.fit(example.obj, example.x, y, training, from_scratch=False)
    except AskedWrongly:
        return
    shape = framework.predict(model, example.x).shape
    assert shape[1:] == (len(training.classes),), f"{len(training.classes)} classes, predictions of the shape {shape}"


def check_weights_can_be_replaced(framework: Framework, example: Example) -> None:
    """WeightAccess: an object with its own weights predicts the same bits, with others something else."""
    if not isinstance(framework, WeightAccess):
        return
    try:
        weights = framework.get_weights(example.obj)
    except BadSetting:  # this kind of object has none
        return
    before = framework.predict(example.obj, example.x)
    same = framework.replace_weights(example.obj, [w.copy() for w in weights])
    _assert_same(before, framework.predict(same, example.x), "predictions with the same weights")
    other = framework.replace_weights(example.obj, [w + 0.5 for w in weights])
    assert not np.array_equal(before, framework.predict(other, example.x)), "other weights changed nothing"
    _assert_same(before, framework.predict(example.obj, example.x), "the given object's predictions")


def check_combined_output_is_the_mean(framework: Framework, example: Example) -> None:
    """Combinable: several copies of one object put together, whatever their shares, predict as that object."""
    if not isinstance(framework, Combinable):
        return
    before = framework.predict(example.obj, example.x)
    whole = framework.combine([example.obj, example.obj], [0.25, 0.75])
    combined = framework.predict(whole, example.x)
    assert np.allclose(before, combined, rtol=1e-4, atol=1e-5), "two halves of one model predict otherwise than it"


def check_widening_changes_no_prediction(framework: Framework, example: Example) -> None:
    """Widenable: with more inputs that are zero, old rows are predicted as before."""
    signature = framework.read_signature(example.obj)
    if not isinstance(framework, Widenable) or not signature.network or signature.shape is None:
        return
    if len(signature.shape) != 1 or not isinstance(example.x, np.ndarray):
        return
    wide = framework.widen(example.obj, inputs=signature.shape[0] + 2, outputs=signature.outputs or 1)
    more = np.hstack([example.x, np.zeros((len(example.x), 2), dtype=example.x.dtype)])
    before, after = framework.predict(example.obj, example.x), framework.predict(wide, more)
    assert np.allclose(before, after, rtol=1e-4, atol=1e-5), "old rows are predicted otherwise"


def check_hyperparameters_can_be_replaced(framework: Framework, example: Example) -> None:
    """Tunable: those of the object lie among its dimensions, and replacing them by themselves keeps them."""
    if not isinstance(framework, Tunable):
        return
    values = framework.get_hyperparameters(example.obj)
    names = {dimension.name for dimension in framework.list_dimensions(example.obj)}
    assert set(values) <= names, f"{', '.join(sorted(set(values) - names))} is no dimension"
    again = framework.get_hyperparameters(framework.replace_hyperparameters(example.obj, values))
    for name, value in values.items():
        kept = again[name] == value or (isinstance(value, float) and np.isclose(value, float(again[name]), rtol=1e-4))
        assert kept, f"{name} was {value!r} and became {again[name]!r}"


def check_first_trees_are_kept(framework: Framework, example: Example) -> None:
    """Truncatable: with all its trees the object predicts as before, with one it has one."""
    if not isinstance(framework, Truncatable):
        return
    try:
        count = framework.count_trees(example.obj)
    except (BadModel, BadSetting):  # this kind of object has none
        return
    before = framework.predict(example.obj, example.x)
    whole = framework.keep_first_trees(example.obj, count)
    assert np.allclose(before, framework.predict(whole, example.x), atol=CLOSE), "all trees predict otherwise"
    assert framework.count_trees(framework.keep_first_trees(example.obj, 1)) == 1, "one tree is not one"


def check_rounds_can_be_replaced(framework: Framework, example: Example) -> None:
    """RoundCount: a training from scratch has as many rounds as were set."""
    if not isinstance(framework, RoundCount):
        return
    fewer = framework.replace_rounds(example.obj, 2)
    assert framework.count_rounds(fewer) == 2, f"2 rounds were set, there are {framework.count_rounds(fewer)}"


CHECKS: tuple[Check, ...] = (
    check_fit_leaves_the_object_unchanged,
    check_rows_are_not_changed,
    check_save_and_load_keep_every_bit,
    check_saved_files_hold_no_pickle,
    check_same_seed_same_model,
    check_from_scratch_forgets_the_parameters,
    check_fit_learns,
    check_row_weights_matter,
    check_epochs_are_reported,
    check_watched_rows_are_not_trained_on,
    check_rows_are_predicted_one_by_one,
    check_predictions_fit_the_signature,
    check_written_files_are_read_back,
    check_only_its_own_is_recognized,
    check_asking_imports_nothing,
    check_new_classes_are_learned_or_refused,
    check_weights_can_be_replaced,
    check_combined_output_is_the_mean,
    check_widening_changes_no_prediction,
    check_hyperparameters_can_be_replaced,
    check_first_trees_are_kept,
    check_rounds_can_be_replaced,
)


def check_framework(framework: Framework, make_example: Callable[[], Example]) -> int:
    """Runs every check on a framework's module, each on an example of its own; returns how many ran.

    Raises AssertionError that names the broken promise.
    """
    name = framework.__name__.rpartition(".")[2]
    for check in CHECKS:
        run_checks([check], "framework", name, framework, make_example())
    return len(CHECKS)


def _modes(example: Example) -> Iterator[bool]:
    """From scratch, and going on from the given object where that is possible."""
    yield True
    if example.continues:
        yield False


def _codes(raw: Array, signature: Signature) -> Array:
    """(n,) class codes of raw predictions."""
    wide = raw.reshape(len(raw), -1)
    if wide.shape[1] > 1:
        return np.asarray(wide.argmax(axis=1))
    return np.asarray((wide[:, 0] > (0.0 if signature.output == "logit" else 0.5)).astype(np.int64))


def _assert_same(one: Array, two: Array, what: str) -> None:
    assert one.shape == two.shape, f"{what} had the shape {one.shape} and have {two.shape}"
    assert np.array_equal(one, two), f"{what} changed"
