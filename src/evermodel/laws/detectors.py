"""What every detector must obey. ``check_detector(module)`` runs all laws, or says which one is broken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.reference import ColumnReference, Counted, column_reference, count_column
from evermodel.core.table import Array

Law = Callable[[Any], None]


def nothing_moved_is_nothing(plug: Any) -> None:
    """A sample held against itself gives 0; who learns to tell rows apart learns nothing from the same ones."""
    for a, _ in samples(plug):
        most = 1e-12 if _counting(plug) or hasattr(plug, "sums") else 0.12
        assert abs(_of(plug)(a, a)) < most, _of(plug)(a, a)


def more_drift_is_more(plug: Any) -> None:
    """The farther the rows move, the larger the number."""
    for kind in plug.KINDS:
        found = [_of(plug)(*sample(kind, drift)) for drift in (0.0, 0.3, 1.0)]
        assert found[0] < found[1] < found[2], found


def order_does_not_matter(plug: Any) -> None:
    """Permuting the rows changes nothing."""
    rng = np.random.default_rng(1)
    for a, b in samples(plug):
        was, now = _of(plug)(a, b), _of(plug)(rng.permutation(a), rng.permutation(b))  # of rows
        assert math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12), f"{was} became {now}"


def no_rows_are_not_zero(plug: Any) -> None:
    """Without rows the number is NaN, and of counts None; never 0."""
    for a, b in samples(plug):
        assert math.isnan(_of(plug)(a, b[:0])), _of(plug)(a, b[:0])
    for reference, counted in counts(plug) if _counting(plug) else ():
        assert plug.of_counts(reference, Counted(counted.bins * 0)) is None


def batches_add_up(plug: Any) -> None:
    """Counts (or sums) of two batches added, in either order, are those of all rows, and give the same number."""
    if hasattr(plug, "sums"):
        a, b = sample("rows", 0.3)
        whole = plug.of_sums(plug.sums(a), plug.sums(b))
        parts = [plug.sums(x) for x in (b[:170], b[170:])]
        for summed in (parts[0] + parts[1], parts[1] + parts[0]):
            assert math.isclose(plug.of_sums(plug.sums(a), summed), whole, rel_tol=1e-9), whole
    for kind in plug.KINDS if _counting(plug) else ():
        a, b = sample(kind, 0.3)
        reference = _reference(a)
        parts = [count_column(_series(x), reference) for x in (b[:170], b[170:])]
        whole = plug.of_counts(reference, count_column(_series(b), reference))
        for summed in (parts[0] + parts[1], parts[1] + parts[0]):
            assert plug.of_counts(reference, summed) == whole, f"{plug.of_counts(reference, summed)}, not {whole}"


def inputs_stay(plug: Any) -> None:
    """The arrays given are not written to."""
    for a, b in samples(plug):
        before = a.copy(), b.copy()
        _of(plug)(a, b)
        assert (a == before[0]).all()
        assert (b == before[1]).all()


LAWS: tuple[Law, ...] = (
    nothing_moved_is_nothing,
    more_drift_is_more,
    order_does_not_matter,
    no_rows_are_not_zero,
    batches_add_up,
    inputs_stay,
)


def check_detector(plug: Any) -> int:
    """Runs every law on the detector's module; returns how many ran."""
    for law in LAWS:
        try:
            law(plug)
        except AssertionError as error:
            raise AssertionError(f"{plug.__name__} breaks a law: {law.__doc__} Got: {error}") from error
    return len(LAWS)


def false_alarms(path: Callable[[Array, Array], Array], level: float, seeds: int = 200) -> int:
    """Of ``seeds`` quiet columns, looked at thirty times against 500 reference rows, those whose evidence alarms.

    ``path(looks, reference)`` is a log e-value after each look. Law: at most ``seeds * exp(-level)``, and chance.
    """
    alarmed = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        reference = _reference(rng.standard_normal(500))
        bins = np.stack([count_column(_series(rng.standard_normal(200)), reference).bins for _ in range(30)])
        found = path(reference.coarse(bins), reference.coarse(np.asarray(reference.gaps)))
        alarmed += bool(found.max() >= level)
    return alarmed


def sample(kind: str, drift: float) -> tuple[Array, Array]:
    """400 reference rows and 350 rows that moved by ``drift``."""
    rng = np.random.default_rng(0)
    if kind == "rows":
        turned = rng.standard_normal((350, 3))
        return rng.standard_normal((400, 3)), turned + drift * np.array([2.0, -1.0, 1.0])
    if kind == "number":
        return rng.standard_normal(400), rng.standard_normal(350) + drift
    shares = np.array([0.5, 0.3, 0.2]) + drift * np.array([-0.4, 0.1, 0.3])
    names = np.array(["a", "b", "c"])
    return rng.choice(names, 400, p=[0.5, 0.3, 0.2]), rng.choice(names, 350, p=shares)


def samples(plug: Any) -> Iterator[tuple[Array, Array]]:
    for kind in plug.KINDS:
        yield sample(kind, 0.3)


def counts(plug: Any) -> Iterator[tuple[ColumnReference, Counted]]:
    for a, b in samples(plug):
        reference = _reference(a)
        yield reference, count_column(_series(b), reference)


def _counting(plug: Any) -> bool:
    """Whether it counts one column; those of whole rows do not."""
    return "rows" not in plug.KINDS


def _series(x: Array) -> pl.Series:
    return pl.Series("x", x)


def _reference(x: Array) -> ColumnReference:
    found = column_reference(_series(x))
    assert found is not None
    return found


def _of(plug: Any) -> Any:
    return getattr(plug, plug.__name__.rpartition(".")[2])
