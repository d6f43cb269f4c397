"""Counting into bins: by a grid or by comparisons, the same counts as a binary search of each number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evermodel.core.stats import binning
from evermodel.core.stats.binning import MANY, count_bins, find_bins

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def searched(x, edges):
    return np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1)


@given(
    edges=st.lists(FINITE, min_size=1, max_size=60, unique=True).map(sorted),
    other=st.lists(FINITE, max_size=50),
    few=st.sampled_from([0, 16]),
    chunk=st.sampled_from([7, 1 << 19]),
)
def test_counts_are_those_of_a_binary_search(edges, other, few, chunk):
    """On the edges, a rounding beside them, between and far outside them."""
    at = np.array(edges)
    with np.errstate(over="ignore"):
        beside = [
            np.nextafter(at, -np.inf),
            at,
            np.nextafter(at, np.inf),
            0.5 * at[1:] + 0.5 * at[:-1],
            np.array(other),
        ]
    x = np.concatenate(beside)
    x = x[np.isfinite(x)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binning, "MANY", 0)
        patch.setattr(binning, "FEW", few)
        patch.setattr(binning, "CHUNK", chunk)
        assert count_bins(x, at).tolist() == searched(x, at).tolist()
        assert find_bins(x, at).tolist() == np.searchsorted(at, x, side="left").tolist()


@pytest.mark.parametrize("edges", [[], [0.0], list(range(1, 11)), list(np.linspace(-2, 2, 59))])
def test_many_numbers(edges):
    random = np.random.default_rng(0)
    for x in (random.normal(size=MANY), random.poisson(5, MANY).astype(float), np.exp(9 * random.normal(size=MANY))):
        at = np.array(edges, dtype=float)
        counts = count_bins(x, at)
        assert counts.tolist() == searched(x, at).tolist() and counts.sum() == len(x)
        assert find_bins(x, at).tolist() == np.searchsorted(at, x, side="left").tolist()
