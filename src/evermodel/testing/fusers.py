"""What every fuser must promise. ``check_fuser`` runs all checks; its error names the promise that is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evermodel.combining.members import build_scorer
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split, Strategy
from evermodel.testing.check_runner import check_docstring_has_an_example, check_function_signature, run_checks

Check = Callable[[Strategy, Sequence[Model], Split], None]
SEED = 5
LOST = 0.1  # of the score: a fused model of one lineage is never that much worse than its worst member


def check_settings_are_typed(fuser: Strategy, parents: Sequence[Model], split: Split) -> None:
    """Parents, rows and context stand before the slash; every setting is keyword-only, typed and has a default."""
    check_function_signature(fuser, positional=3)


def check_docstring(fuser: Strategy, parents: Sequence[Model], split: Split) -> None:
    """The docstring says what the fuser does and shows a command that uses it."""
    check_docstring_has_an_example(fuser)


def check_parents_are_not_changed(fuser: Strategy, parents: Sequence[Model], split: Split) -> None:
    """The parents predict afterwards, bit by bit, what they predicted before."""
    before = [parent.predict(split.new_rows.frame) for parent in parents]
    fuser(list(parents), split, Context(seed=SEED))
    after = [parent.predict(split.new_rows.frame) for parent in parents]
    assert all(map(np.array_equal, before, after)), "a parent predicts something else"


def check_same_seed_same_model(fuser: Strategy, parents: Sequence[Model], split: Split) -> None:
    """The same parents, rows and seed give a model of the same predictions, bit by bit."""
    one, two = (fuser(list(parents), split, Context(seed=SEED)).predict(split.new_rows.frame) for _ in range(2))
    assert np.array_equal(one, two), f"predictions differ by up to {np.abs(one - two).max():.3g}"


def check_contract_is_kept(fuser: Strategy, parents: Sequence[Model], split: Split) -> None:
    """The fused model has its parents' contract; its predictions are finite, of their shape, and probabilities."""
    model = fuser(list(parents), split, Context(seed=SEED))
    predictions, expected = model.predict(split.new_rows.frame), parents[0].predict(split.new_rows.frame).shape
    assert model.contract == parents[0].contract, "the contract is another"
    assert predictions.shape == expected, f"predictions have the shape {predictions.shape}, the parents' {expected}"
    assert np.isfinite(predictions).all(), "some predictions are not finite"
    if predictions.ndim == 2:
        assert np.allclose(predictions.sum(axis=1), 1.0, atol=1e-6), "probabilities do not sum to 1"


def check_no_worse_than_the_worst_member(fuser: Strategy, parents: Sequence[Model], split: Split) -> None:
    """Along one lineage the fused model scores, on rows that no member saw, not a tenth below the worst of them."""
    assert split.tuning_rows is not None, "the check needs tuning rows"
    score = build_scorer(parents[0], split.tuning_rows)
    fused, worst = score(fuser(list(parents), split, Context(seed=SEED))), min(map(score, parents))
    assert fused >= worst - LOST, f"the fused model scores {fused:.3f}, the worst member {worst:.3f}"


def check_one_model_is_refused(fuser: Strategy, parents: Sequence[Model], split: Split) -> None:
    """With a single parent it raises BadModel: there is nothing to fuse."""
    try:
        fuser([parents[0]], split, Context(seed=SEED))
    except BadModel:
        return
    raise AssertionError("one model was fused")


CHECKS: tuple[Check, ...] = (
    check_settings_are_typed,
    check_docstring,
    check_parents_are_not_changed,
    check_same_seed_same_model,
    check_contract_is_kept,
    check_no_worse_than_the_worst_member,
    check_one_model_is_refused,
)


def check_fuser(fuser: Strategy, parents: Sequence[Model], split: Split) -> int:
    """Runs every check on a fuser's function; returns how many ran.

    ``parents``: fitted networks of one lineage, the first of them the one that the others were trained from.
    ``split`` has tuning rows. Raises AssertionError that names the broken promise.
    """
    return run_checks(CHECKS, "fuser", fuser.__name__, fuser, parents, split)
