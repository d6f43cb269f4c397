"""What every pruner must promise. ``check_pruner`` runs all checks; its error names the promise that is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from evermodel.combining.members import build_scorer
from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.capabilities import Prunable, Truncatable, WeightAccess
from evermodel.core.model.framework import Framework
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split, Strategy
from evermodel.core.settings import settings_of
from evermodel.testing.check_runner import check_docstring_has_an_example, check_function_signature, run_checks

Check = Callable[[Strategy, Model, Split], None]
SEED = 5
HALF = 0.5
LOST = 0.15  # of the score: half of an easy problem's model gone, and no more lost than that
SMALLER = 0.75  # of the bytes
EXACT = 1e-5


def check_settings_are_typed(pruner: Strategy, parent: Model, split: Split) -> None:
    """Parents, rows and context stand before the slash; ``ratio`` is a setting; all are typed and have defaults."""
    check_function_signature(pruner, positional=3)
    assert "ratio" in {setting.name for setting in settings_of(pruner)}, "there is no setting 'ratio'"


def check_docstring(pruner: Strategy, parent: Model, split: Split) -> None:
    """The docstring says what the pruner does and shows a command that uses it."""
    check_docstring_has_an_example(pruner)


def check_parent_is_not_changed(pruner: Strategy, parent: Model, split: Split) -> None:
    """The parent predicts afterwards, bit by bit, what it predicted before."""
    before = parent.predict(split.new_rows.frame)
    _prune(pruner, parent, split)
    assert np.array_equal(before, parent.predict(split.new_rows.frame)), "the parent predicts something else"


def check_same_seed_same_model(pruner: Strategy, parent: Model, split: Split) -> None:
    """The same parent, rows and seed give a model of the same predictions, bit by bit."""
    one, two = (_prune(pruner, parent, split).predict(split.new_rows.frame) for _ in range(2))
    assert np.array_equal(one, two), f"predictions differ by up to {np.abs(one - two).max():.3g}"


def check_contract_is_kept(pruner: Strategy, parent: Model, split: Split) -> None:
    """The pruned model has its parent's contract; its predictions are finite, of its shape, and probabilities."""
    model = _prune(pruner, parent, split)
    predictions, expected = model.predict(split.new_rows.frame), parent.predict(split.new_rows.frame).shape
    assert model.contract == parent.contract, "the contract is another"
    assert predictions.shape == expected, f"predictions have the shape {predictions.shape}, the parent's {expected}"
    assert np.isfinite(predictions).all(), "some predictions are not finite"
    if predictions.ndim == 2:
        assert np.allclose(predictions.sum(axis=1), 1.0, atol=1e-5), "probabilities do not sum to 1"


def check_model_is_smaller(pruner: Strategy, parent: Model, split: Split) -> None:
    """It reads fewer columns; or has fewer channels, trees or weights not 0 and is no larger; or is far smaller."""
    model = _prune(pruner, parent, split)
    before, after = _size(parent), _size(model)
    if model.transform.width < parent.transform.width or after <= SMALLER * before:
        return
    fewer = _amount(model) < _amount(parent) or _count_weights(model) < _count_weights(parent)
    assert fewer, "as many columns, channels, trees and weights as before"
    assert after <= 1.02 * before, f"{after:,} bytes instead of {before:,}"


def check_model_still_works(pruner: Strategy, parent: Model, split: Split) -> None:
    """With half of it gone, the model scores not much below its parent on rows that nobody was trained on."""
    assert split.tuning_rows is not None, "the check needs tuning rows"
    score = build_scorer(parent, split.tuning_rows)
    before, after = score(parent), score(_prune(pruner, parent, split))
    assert after >= before - LOST, f"the pruned model scores {after:.3f}, its parent {before:.3f}"


def check_reloads_as_an_ordinary_model(pruner: Strategy, parent: Model, split: Split) -> None:
    """It is of the parent's framework, and predicts after saving and loading what it predicted before."""
    model = _prune(pruner, parent, split)
    assert model.framework is parent.framework, "it is of another framework"
    with TemporaryDirectory() as folder:
        model.framework.save(model.obj, Path(folder))
        again = model.framework.load(Path(folder))
    x = model.transform(split.new_rows.frame)
    same = np.allclose(model.framework.predict(again, x), model.framework.predict(model.obj, x), rtol=0, atol=1e-6)
    assert same, "it predicts something else after saving and loading"


CHECKS: tuple[Check, ...] = (
    check_settings_are_typed,
    check_docstring,
    check_parent_is_not_changed,
    check_same_seed_same_model,
    check_contract_is_kept,
    check_model_is_smaller,
    check_model_still_works,
    check_reloads_as_an_ordinary_model,
)


def check_pruner(pruner: Strategy, parent: Model, split: Split) -> int:
    """Runs every check on a pruner's function; returns how many ran.

    ``parent``: a fitted model of a kind that the pruner is for. ``split`` has tuning rows. Raises AssertionError that
    names the broken promise.
    """
    return run_checks(CHECKS, "pruner", pruner.__name__, pruner, parent, split)


def check_zero_channels_can_be_removed(framework: Prunable, obj: Any, x: Array, seed: int = SEED) -> None:
    """A framework that is Prunable: a network whose channels' weights are zero predicts the same without them."""
    random = np.random.default_rng(seed)
    removed = {g.name: random.permutation(g.width)[: g.width // 2] for g in framework.find_channel_groups(obj)}
    predict = cast(Framework, framework).predict
    masked = predict(framework.mask_channels(obj, removed), x)
    smaller = predict(framework.remove_channels(obj, removed), x)
    most = float(np.abs(masked - smaller).max())
    assert most <= EXACT * max(1.0, float(np.abs(masked).max())), f"predictions differ by up to {most:.3g}"


def _prune(pruner: Strategy, parent: Model, split: Split) -> Model:
    return pruner([parent], split, Context(seed=SEED), ratio=HALF)


def _amount(model: Model) -> int:
    plugin = model.framework
    if isinstance(plugin, Truncatable) and not model.signature.network:
        try:
            return plugin.count_trees(model.obj)
        except (BadModel, BadSetting):  # an estimator without trees
            return 0
    return sum(g.width for g in plugin.find_channel_groups(model.obj)) if isinstance(plugin, Prunable) else 0


def _count_weights(model: Model) -> int:
    """Weights that are not zero."""
    if not isinstance(model.framework, WeightAccess):
        return 0
    try:
        return sum(int(np.count_nonzero(w)) for w in model.framework.get_weights(model.obj))
    except BadSetting:  # an estimator without weights
        return 0


def _size(model: Model) -> int:
    with TemporaryDirectory() as folder:
        model.framework.save(model.obj, Path(folder))
        return sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
