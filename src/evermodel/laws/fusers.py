"""What every fuser in ``fusers/`` must obey. A plug author runs ``check_fuser(fuser, parents, split)``.

Each law is a function whose docstring is the law; it raises AssertionError with the docstring where it is broken.
``parents`` are networks of one lineage, the first of them what the others came from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.errors import BadModel
from evermodel.core.members import scorer
from evermodel.core.model import Model

Law = Callable[[Any, Sequence[Model], Split], None]
SEED = 5
LOST = 0.1  # of the score: a fused model of one lineage is never that much worse than its worst member


def parents_are_untouched(fuser: Any, parents: Sequence[Model], split: Split) -> None:
    """The parents predict after the fusing what they predicted before it."""
    before = [p.predict(split.new.frame) for p in parents]
    fuser(list(parents), split, Context(seed=SEED))
    after = [p.predict(split.new.frame) for p in parents]
    _hold(all(map(np.array_equal, before, after)), parents_are_untouched)


def same_seed_same_bits(fuser: Any, parents: Sequence[Model], split: Split) -> None:
    """The same parents, rows and seed give the same bits."""
    one, two = (fuser(list(parents), split, Context(seed=SEED)).predict(split.new.frame) for _ in range(2))
    _hold(np.array_equal(one, two), same_seed_same_bits)


def the_contract_is_kept(fuser: Any, parents: Sequence[Model], split: Split) -> None:
    """The fused model expects what its parents expect, and answers in the same classes, in probabilities."""
    made = fuser(list(parents), split, Context(seed=SEED))
    p, asked = made.predict(split.new.frame), parents[0].predict(split.new.frame)
    _hold(made.contract == parents[0].contract and p.shape == asked.shape, the_contract_is_kept)
    _hold(p.ndim == 1 or np.allclose(p.sum(axis=1), 1.0, atol=1e-6), the_contract_is_kept)


def it_is_no_worse_than_its_worst_member(fuser: Any, parents: Sequence[Model], split: Split) -> None:
    """Along one lineage the fused model scores, on rows nobody saw, not a tenth below the worst of its members."""
    assert split.tuning is not None
    made, score = fuser(list(parents), split, Context(seed=SEED)), scorer(parents[0], split.tuning)
    _hold(score(made) >= min(map(score, parents)) - LOST, it_is_no_worse_than_its_worst_member)


def one_model_is_not_enough(fuser: Any, parents: Sequence[Model], split: Split) -> None:
    """With a single parent it raises BadModel: there is nothing to fuse."""
    try:
        fuser([parents[0]], split, Context(seed=SEED))
    except BadModel:
        return
    _hold(False, one_model_is_not_enough)


LAWS: tuple[Law, ...] = (
    parents_are_untouched, same_seed_same_bits, the_contract_is_kept, it_is_no_worse_than_its_worst_member,
    one_model_is_not_enough,
)  # fmt: skip


def check_fuser(fuser: Any, parents: Sequence[Model], split: Split) -> None:
    """All laws, on one fuser. Raises AssertionError naming the law that is broken."""
    for law in LAWS:
        law(fuser, parents, split)


def _hold(kept: bool, law: Any) -> None:
    if not kept:
        raise AssertionError(f"{law.__name__}: {law.__doc__}")
