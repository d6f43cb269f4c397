"""Which output is which class: found where rows prove it, and never claimed where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.registry.adoption.readings.class_order import find_class_order


def answers(columns: list[int], rows: int, sharpness: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, k) of a calibrated model whose output ``columns[c]`` stands for class c, and the classes."""
    random = np.random.default_rng(seed)
    k = len(columns)
    z = random.normal(size=(rows, k)) * sharpness
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    own = (p.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1)
    output_to_class = np.argsort(columns)
    return p, output_to_class[own]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8).flatmap(lambda k: st.permutations(range(k))), st.integers(0, 1000))
def test_a_planted_order_is_found_and_proven(columns: list[int], seed: int) -> None:
    p, y = answers(columns, 400 * len(columns), 2.0, seed)
    found = find_class_order(p, y)
    assert found.columns == tuple(columns)
    assert found.proven
    assert found.given_is_refuted == (list(columns) != sorted(columns))


def test_a_model_that_knows_nothing_proves_no_order() -> None:
    claimed = [find_class_order(*answers([0, 1, 2], 500, 0.0, seed)).proven for seed in range(100)]
    assert sum(claimed) == 0


def test_few_rows_of_a_weak_model_prove_no_order() -> None:
    found = [find_class_order(*answers([1, 0], 30, 0.3, seed)) for seed in range(50)]
    assert not any(f.proven and f.columns == (0, 1) for f in found)
    assert sum(f.proven for f in found) <= 2


def test_the_runner_up_of_many_classes_exchanges_two() -> None:
    columns = list(np.random.default_rng(0).permutation(80))
    found = find_class_order(*answers(columns, 8000, 4.0, 1))
    assert found.columns == tuple(columns)
    assert sum(a != b for a, b in zip(found.columns, found.runner_up, strict=True)) == 2
    assert found.lead == pytest.approx(found.lead) and found.lead > 0
