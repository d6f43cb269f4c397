"""The checks of testing/frameworks.py: every framework passes them all, and each catches a framework that breaks it."""

from __future__ import annotations

import dataclasses
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Column, Contract
from evermodel.core.errors import MissingExtra
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.plugins import Confidence
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.learning_curve import Epoch
from evermodel.testing import frameworks as checks
from evermodel.testing.check_runner import run_checks
from evermodel.testing.frameworks import Example


def rows(seed: int, n: int = 120) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 4)).astype(np.float32)
    return x, (x[:, 0] + (1 - seed) * x[:, 1] > 0).astype(np.int64)


def example(obj: Any, **said: Any) -> Example:
    return Example(obj, *rows(0), *rows(2), classes=(0, 1), **said)


def lightgbm() -> Example:
    lgb = pytest.importorskip("lightgbm")
    told = {"objective": "binary", "num_threads": 1, "verbosity": -1, "num_leaves": 4}
    return example(lgb.train(told, lgb.Dataset(*rows(0)), 5))


def xgboost() -> Example:
    xgb = pytest.importorskip("xgboost")
    told = {"objective": "binary:logistic", "nthread": 1, "max_depth": 3}
    return example(xgb.train(told, xgb.DMatrix(*rows(0)), 5))


def catboost() -> Example:
    boost = pytest.importorskip("catboost")
    told = {"loss_function": "Logloss", "depth": 3, "iterations": 5, "thread_count": 1}
    told |= {"allow_writing_files": False, "logging_level": "Silent"}
    return example(boost.CatBoost(told).fit(*rows(0)), continues=False)


def sklearn() -> Example:
    linear = pytest.importorskip("sklearn.linear_model")
    return example(linear.SGDClassifier(loss="log_loss", random_state=0).fit(*rows(0)))


def torch() -> Example:
    nn = pytest.importorskip("torch").nn
    from evermodel.plugins.frameworks import torch as plugin

    if "torch" not in _taken:
        plug_example = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
        _taken["torch"] = plugin.convert_object(plug_example)
    return example(_taken["torch"])


def keras() -> Example:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)
    model.compile("adam", "binary_crossentropy")
    return example(model)


def transformers() -> Example:
    """A small text classifier; its rows are a frame with one column of texts."""
    pytest.importorskip("transformers")
    from evermodel.plugins.frameworks import transformers as plugin
    from tests.frameworks.tiny_text_model import make_folder, make_rows

    if "transformers" not in _taken:
        with tempfile.TemporaryDirectory() as folder:
            _taken["transformers"] = plugin.read_file(make_folder(Path(folder) / "intents"))
    one, two = (make_rows(("pay", "cook"), 60, seed) for seed in (1, 2))
    y, other_y = (frame["intent"].replace_strict({"pay": 0, "cook": 1}).to_numpy() for frame in (one, two))
    x, other_x = one.select("text"), two.select("text")
    return Example(_taken["transformers"], x, y, other_x, other_y, classes=("pay", "cook"), long=12)


def language_models() -> Example:
    """A small model that continues texts; its rows are a frame with one column of texts."""
    pytest.importorskip("transformers")
    from evermodel.plugins.frameworks import language_models as plugin
    from tests.frameworks.tiny_language_model import LABELS, make_language_model
    from tests.frameworks.tiny_text_model import make_rows

    if "language_models" not in _taken:
        with tempfile.TemporaryDirectory() as folder:
            read = plugin.read_file(make_language_model(Path(folder) / "words", trained_on=LABELS))
            _taken["language_models"] = plugin.name_labels(read, LABELS)
    one, two = (make_rows(LABELS, 60, seed) for seed in (1, 2))
    y, other_y = (frame["intent"].replace_strict({"pay": 0, "cook": 1}).to_numpy() for frame in (one, two))
    x, other_x = one.select("text"), two.select("text")
    return Example(_taken["language_models"], x, y, other_x, other_y, classes=LABELS, long=12)


def ensemble() -> Example:
    """Two linear models; an ensemble takes rows as a frame."""
    names = ("a", "b", "c", "d")
    contract = Contract("binary", Roles("y"), tuple(Column(n, "number") for n in names), (0, 1))
    transform = Transform(tuple(Feature(n) for n in names))
    member = Model(contract, transform, sklearn().obj, FRAMEWORKS.load_module("sklearn"))
    (x, y), (other_x, other_y) = rows(0), rows(2)
    frames = [pl.DataFrame(part.astype(np.float64), schema=list(names), orient="row") for part in (x, other_x)]
    obj = Ensemble((member, member), (0.5, 0.5), "logit", ("first", "second"))
    return Example(obj, frames[0], y, frames[1], other_y, classes=(0, 1))


_taken: dict[str, Any] = {}
EXAMPLES: dict[str, Callable[[], Example]] = {
    "catboost": catboost,
    "ensemble": ensemble,
    "keras": keras,
    "language_models": language_models,
    "lightgbm": lightgbm,
    "sklearn": sklearn,
    "torch": torch,
    "transformers": transformers,
    "xgboost": xgboost,
}


def test_every_framework_has_an_example() -> None:
    assert sorted(FRAMEWORKS.names()) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_framework_passes(check: checks.Check, name: str) -> None:
    run_checks([check], "framework", name, FRAMEWORKS.load_module(name), EXAMPLES[name]())


def test_no_framework_owns_anothers_objects() -> None:
    for name, make in EXAMPLES.items():
        obj = make().obj
        owners = [other for other in EXAMPLES if FRAMEWORKS.load_module(other).is_model(obj)]
        assert owners == [name]


def broken(framework: str = "sklearn", **changed: Any) -> Any:
    """The plugin of a framework with some functions changed for the worse."""
    plugin = FRAMEWORKS.load_module(framework)
    bad = types.SimpleNamespace(**{k: v for k, v in vars(plugin).items() if not k.startswith("_")})
    bad.__name__ = plugin.__name__
    for name, make in changed.items():
        setattr(bad, name, make(plugin))
    return bad


def _fits_in_place(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        return obj.fit(x, y)

    return fit


def _loses_a_bit(plugin: Any) -> Any:
    def load(at: Path) -> Any:
        obj = plugin.load(at)
        obj.coef_ = obj.coef_ * 1.001
        return obj

    return load


def _unseeded(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        made = plugin.fit(obj, x, y, training, from_scratch=from_scratch)
        made.intercept_ = made.intercept_ + np.random.default_rng().normal()
        return made

    return fit


def _remembers(plugin: Any) -> Any:
    return lambda obj, x, y, training, *, from_scratch: plugin.fit(obj, x, y, training, from_scratch=False)


def _silent(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        return plugin.fit(obj, x, y, dataclasses.replace(training, on_epoch=lambda _: None), from_scratch=from_scratch)

    return fit


def _nan_loss(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        training.on_epoch(Epoch(1, float("nan")))
        return obj

    return fit


def _centres_the_batch(plugin: Any) -> Any:
    return lambda obj, x: plugin.predict(obj, x - x.mean(axis=0))


def _reads_another(plugin: Any) -> Any:
    def read(path: Path, **_: Any) -> Any:
        obj = plugin.read_file(path)
        obj.coef_ = -obj.coef_
        return obj

    return read


def _ignores_new_classes(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        told = dataclasses.replace(training, classes=training.classes[:2])
        return plugin.fit(obj, x, np.minimum(y, 1), told, from_scratch=from_scratch)

    return fit


def _writes_to_rows(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        x[0] += 1.0
        return plugin.fit(obj, x, y, training, from_scratch=from_scratch)

    return fit


def _pickles(plugin: Any) -> Any:
    def save(obj: Any, to: Path) -> None:
        import pickle

        (to / "model.bin").write_bytes(pickle.dumps(obj))

    return save


def _changed_training(**fields: Any) -> Any:
    """A fit that drops a field of the training."""

    def make(plugin: Any) -> Any:
        def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
            changed = dataclasses.replace(training, **fields)
            return plugin.fit(obj, x, y, changed, from_scratch=from_scratch)

        return fit

    return make


def _learns_nothing(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        return plugin.fit(obj, x, np.roll(y, 7), training, from_scratch=from_scratch)

    return fit


def _trains_on_watched(plugin: Any) -> Any:
    def fit(obj: Any, x: Any, y: Array, training: Any, *, from_scratch: bool) -> Any:
        if training.validation is not None:
            x, y = np.vstack([x, training.validation[0]]), np.append(y, training.validation[1])
        return plugin.fit(obj, x, y, training, from_scratch=from_scratch)

    return fit


def _doubles(plugin: Any) -> Any:
    return lambda obj, x: 2.0 * plugin.predict(obj, x)


def _adds_up(plugin: Any) -> Any:
    return lambda objs, shares: plugin.replace_weights(objs[0], [2.0 * w for w in plugin.get_weights(objs[0])])


BROKEN: list[tuple[checks.Check, Any, Callable[[], Example]]] = [
    (checks.check_fit_leaves_the_object_unchanged, broken(fit=_fits_in_place), sklearn),
    (checks.check_rows_are_not_changed, broken(fit=_writes_to_rows), sklearn),
    (checks.check_save_and_load_keep_every_bit, broken(load=_loses_a_bit), sklearn),
    (checks.check_saved_files_hold_no_pickle, broken(save=_pickles), sklearn),
    (checks.check_saved_files_hold_no_pickle, broken(save=lambda plugin: lambda obj, to: None), sklearn),
    (checks.check_same_seed_same_model, broken(fit=_unseeded), sklearn),
    (checks.check_from_scratch_forgets_the_parameters, broken(fit=_remembers), sklearn),
    (checks.check_fit_learns, broken(fit=_learns_nothing), sklearn),
    (checks.check_row_weights_matter, broken(fit=_changed_training(weight=None)), sklearn),
    (checks.check_epochs_are_reported, broken(fit=_silent), sklearn),
    (checks.check_epochs_are_reported, broken(fit=_nan_loss), sklearn),
    (checks.check_watched_rows_are_not_trained_on, broken(fit=_trains_on_watched), sklearn),
    (checks.check_rows_are_predicted_one_by_one, broken(predict=_centres_the_batch), sklearn),
    (checks.check_predictions_fit_the_signature, broken(predict=_doubles), sklearn),
    (checks.check_written_files_are_read_back, broken(read_file=_reads_another), sklearn),
    (
        checks.check_written_files_are_read_back,
        broken(recognize=lambda plugin: lambda path: Confidence.POSSIBLE),
        sklearn,
    ),
    (checks.check_only_its_own_is_recognized, broken(is_model=lambda plugin: lambda obj: True), sklearn),
    (
        checks.check_only_its_own_is_recognized,
        broken(recognize=lambda plugin: lambda path: Confidence.CERTAIN),
        sklearn,
    ),
    (checks.check_new_classes_are_learned_or_refused, broken(fit=_ignores_new_classes), sklearn),
    (checks.check_weights_can_be_replaced, broken(replace_weights=lambda plugin: lambda obj, weights: obj), sklearn),
    (
        checks.check_combined_output_is_the_mean,
        broken(combine=_adds_up),
        sklearn,
    ),
    (
        checks.check_widening_changes_no_prediction,
        broken("torch", widen=lambda plugin: lambda obj, inputs, outputs: obj),
        torch,
    ),
    (
        checks.check_hyperparameters_can_be_replaced,
        broken(get_hyperparameters=lambda plugin: lambda obj: {"unknown": 1.0}),
        sklearn,
    ),
    (
        checks.check_first_trees_are_kept,
        broken("lightgbm", keep_first_trees=lambda plugin: lambda obj, trees: obj),
        lightgbm,
    ),
    (
        checks.check_rounds_can_be_replaced,
        broken("lightgbm", replace_rounds=lambda plugin: lambda obj, rounds: obj),
        lightgbm,
    ),
]


@pytest.mark.parametrize(("check", "framework", "make"), BROKEN, ids=lambda v: getattr(v, "__name__", ""))
def test_a_check_catches_a_framework_that_breaks_it(
    check: checks.Check, framework: Any, make: Callable[[], Example]
) -> None:
    with pytest.raises(AssertionError, match=check.__name__):
        run_checks([check], "framework", "broken", framework, make())


def test_a_plugin_that_imports_its_framework_at_once_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "import sklearn.linear_model\nfrom evermodel.plugins.frameworks.sklearn import is_model, recognize, suffixes\n"
    )
    (tmp_path / "hasty_plugin.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(map(str, __import__('sys').path))}")
    hasty = broken()
    hasty.__name__ = "hasty_plugin"
    with pytest.raises(AssertionError, match="sklearn was imported"):
        checks.check_asking_imports_nothing(hasty, sklearn())


def test_every_check_is_shown_to_catch_something() -> None:
    assert {check for check, _, _ in BROKEN} | {checks.check_asking_imports_nothing} == set(checks.CHECKS)


GARBAGE = [b"", b"\x00" * 64, b"tree\n", b"{", b'{"learner": 1}', b"PK\x03\x04", b"GIF89a", b"{L\x00"]


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "torch", "sklearn"])
@pytest.mark.parametrize(
    "garbage", [b"", b"\x00" * 64, b"tree\n", b"{", b'{"learner": 1}', b"PK\x03\x04", b"GIF89a", b"{L\x00"]
)
def test_garbage_is_an_error_of_ours(name: str, garbage: bytes, tmp_path: Path) -> None:
    from evermodel.core.errors import EvermodelError

    plugin = FRAMEWORKS.load_module(name)
    for suffix in plugin.suffixes():
        path = tmp_path / f"m{suffix}"
        path.write_bytes(garbage)
        with pytest.raises(EvermodelError) as caught:
            plugin.read_file(path)
        assert not isinstance(caught.value, MissingExtra)
