"""What every change in ``updates/`` must obey. A plug author runs ``check_update(name, parent, split)``.

Each law is a function whose docstring is the law; it raises AssertionError with the docstring where it is broken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.errors import NoData
from evermodel.core.model import Model
from evermodel.core.settings import settings_of

Law = Callable[[Any, Model, Split], None]  # the change first
SEED = 11


def parents_are_untouched(change: Any, parent: Model, split: Split) -> None:
    """The parents predict after the change what they predicted before it."""
    before = parent.predict(split.new.frame)
    change([parent], split, Context(seed=SEED))
    _hold(np.array_equal(before, parent.predict(split.new.frame)), parents_are_untouched)


def same_seed_same_bits(change: Any, parent: Model, split: Split) -> None:
    """The same parents, rows and seed give the same bits."""
    one, two = (change([parent], split, Context(seed=SEED)).predict(split.new.frame) for _ in range(2))
    _hold(np.array_equal(one, two), same_seed_same_bits)


def works_without_kept_rows_or_says_so(change: Any, parent: Model, split: Split) -> None:
    """Without kept rows it makes a model that predicts, or raises NoData; nothing else."""
    try:
        made = change([parent], dataclasses.replace(split, kept=None), Context(seed=SEED))
    except NoData:
        return
    _hold(np.isfinite(made.predict(split.new.frame)).all(), works_without_kept_rows_or_says_so)


def tuning_rows_are_never_trained_on(change: Any, parent: Model, split: Split) -> None:
    """Other labels in the rows that are watched while training change nothing."""
    target, watched = split.new.roles.target or "", split.new.rows(np.arange(min(len(split.new), 40)))
    turned = dataclasses.replace(watched, frame=watched.frame.with_columns(watched.frame[target].reverse()))
    one, two = (
        change([parent], dataclasses.replace(split, tuning=rows), Context(seed=SEED)).predict(split.new.frame)
        for rows in (watched, turned)
    )
    _hold(np.array_equal(one, two), tuning_rows_are_never_trained_on)


def the_contract_is_kept(change: Any, parent: Model, split: Split) -> None:
    """The new model expects what its parent expects, and answers in the same classes."""
    made = change([parent], split, Context(seed=SEED))
    _hold(made.contract == parent.contract, the_contract_is_kept)
    _hold(made.predict(split.new.frame).shape == parent.predict(split.new.frame).shape, the_contract_is_kept)


def settings_stand_in_the_signature(change: Any, parent: Model, split: Split) -> None:
    """Every setting has a type and a default that is within its own bounds; three arguments come before the slash."""
    for setting in settings_of(cast(Callable[..., Any], change)):
        within = setting.default is None or setting.bounds is None or setting.default in setting.bounds
        _hold(within and (setting.default is not None or setting.optional), settings_stand_in_the_signature)
    _hold(bool(change.__doc__) and "$ evermodel update" in (change.__doc__ or ""), settings_stand_in_the_signature)


LAWS: tuple[Law, ...] = (
    parents_are_untouched,
    same_seed_same_bits,
    works_without_kept_rows_or_says_so,
    tuning_rows_are_never_trained_on,
    the_contract_is_kept,
    settings_stand_in_the_signature,
)


def check_update(change: Any, parent: Model, split: Split) -> None:
    """Runs all laws. Raises AssertionError with the law that is broken."""
    for law in LAWS:
        law(change, parent, split)


def _hold(held: Any, law: Law) -> None:
    if not held:
        raise AssertionError(f"{law.__name__}: {law.__doc__}")
