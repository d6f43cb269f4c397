"""What every pruner in ``pruners/`` must obey. A plug author runs ``check_pruner(pruner, parent, split)``.

Each law is a function whose docstring is the law; it raises AssertionError with the docstring where it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.framework import Prunable, Truncating
from evermodel.core.members import scorer
from evermodel.core.model import Model
from evermodel.core.table import Array

Law = Callable[[Any, Model, Split], None]
SEED = 5
HALF = 0.5
LOST = 0.15  # of the score: half of an easy problem's model gone, and no more lost than that
SMALLER = 0.75  # of the bytes
EXACT = 1e-5


def the_parent_is_untouched(pruner: Any, parent: Model, split: Split) -> None:
    """The parent predicts after the pruning what it predicted before it."""
    before = parent.predict(split.new.frame)
    pruner([parent], split, Context(seed=SEED), ratio=HALF)
    _hold(np.array_equal(before, parent.predict(split.new.frame)), the_parent_is_untouched)


def same_seed_same_bits(pruner: Any, parent: Model, split: Split) -> None:
    """The same parent, rows and seed give the same bits."""
    one, two = (pruner([parent], split, Context(seed=SEED), ratio=HALF).predict(split.new.frame) for _ in range(2))
    _hold(np.array_equal(one, two), same_seed_same_bits)


def the_contract_is_kept(pruner: Any, parent: Model, split: Split) -> None:
    """The pruned model expects what its parent expects, and answers in the same classes, in probabilities."""
    made = pruner([parent], split, Context(seed=SEED), ratio=HALF)
    p = made.predict(split.new.frame)
    _hold(made.contract == parent.contract and p.shape == parent.predict(split.new.frame).shape, the_contract_is_kept)
    _hold(p.ndim == 1 or np.allclose(p.sum(axis=1), 1.0, atol=1e-5), the_contract_is_kept)


def there_is_less_of_it(pruner: Any, parent: Model, split: Split) -> None:
    """It reads fewer columns; has fewer channels, trees or weights not 0 and is no larger; or is far smaller."""
    made = pruner([parent], split, Context(seed=SEED), ratio=HALF)
    if made.transform.width < parent.transform.width:
        return
    if _size(made) <= SMALLER * _size(parent):
        return
    _hold(_amount(made) < _amount(parent) or _numbers(made) < _numbers(parent), there_is_less_of_it)
    _hold(_size(made) <= 1.02 * _size(parent), there_is_less_of_it)


def it_still_does_its_work(pruner: Any, parent: Model, split: Split) -> None:
    """With half of it gone, the model scores not much below its parent on rows that nobody was trained on."""
    assert split.tuning is not None
    score = scorer(parent, split.tuning)
    made = pruner([parent], split, Context(seed=SEED), ratio=HALF)
    _hold(score(made) >= score(parent) - LOST, it_still_does_its_work)


def it_reloads_as_an_ordinary_model(pruner: Any, parent: Model, split: Split) -> None:
    """It is of the parent's framework, and predicts after saving and loading what it predicted before."""
    made = pruner([parent], split, Context(seed=SEED), ratio=HALF)
    with TemporaryDirectory() as folder:
        made.framework.save(made.obj, Path(folder))
        again = made.framework.load(Path(folder))
    x = made.transform(split.new.frame)
    same = np.allclose(made.framework.predict(again, x), made.framework.predict(made.obj, x), rtol=0, atol=1e-6)
    _hold(made.framework is parent.framework and same, it_reloads_as_an_ordinary_model)


LAWS: tuple[Law, ...] = (
    the_parent_is_untouched, same_seed_same_bits, the_contract_is_kept, there_is_less_of_it, it_still_does_its_work,
    it_reloads_as_an_ordinary_model,
)  # fmt: skip


def check_pruner(pruner: Any, parent: Model, split: Split) -> None:
    """All laws, on one pruner. Raises AssertionError naming the law that is broken."""
    for law in LAWS:
        law(pruner, parent, split)


def taking_out_zeros_changes_nothing(plug: Any, obj: Any, x: Array, seed: int = SEED) -> None:
    """A framework that is Prunable: a network whose channels' weights are zero answers the same without them."""
    random = np.random.default_rng(seed)
    removed = {g.name: random.permutation(g.width)[: g.width // 2] for g in plug.groups(obj)}
    zero, out = plug.predict(plug.masked(obj, removed), x), plug.predict(plug.without(obj, removed), x)
    _hold(np.abs(zero - out).max() <= EXACT * max(1.0, float(np.abs(zero).max())), taking_out_zeros_changes_nothing)


def _amount(model: Model) -> int:
    plug = model.framework
    if isinstance(plug, Truncating) and not model.needs.network:
        try:
            return plug.trees(model.obj)
        except Exception:  # an estimator without trees
            return 0
    return sum(g.width for g in plug.groups(model.obj)) if isinstance(plug, Prunable) else 0


def _numbers(model: Model) -> int:
    """Weights that are not zero."""
    read = getattr(model.framework, "weights", None)
    try:
        return sum(int(np.count_nonzero(w)) for w in read(model.obj)) if read else 0
    except Exception:  # an estimator without weights
        return 0


def _size(model: Model) -> int:
    with TemporaryDirectory() as folder:
        model.framework.save(model.obj, Path(folder))
        return sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())


def _hold(kept: bool, law: Any) -> None:
    if not kept:
        raise AssertionError(f"{law.__name__}: {law.__doc__}")
