"""Rows counted into the reference's bins: many groups of rows at once, the same counts as of each by itself."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evermodel.core.stats.reference_bins import build_reference, count_column, count_groups

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=30_000)
WORDS = [f"w{i}" for i in RANDOM.zipf(1.3, 30_000) % 200]
REFERENCES = {
    "numbers": pl.Series("x", NUMBERS[:5_000]),
    "two values": pl.Series("x", np.tile([0.0, 1.0], 50)),
    "one value": pl.Series("x", np.ones(50)),
    "words": pl.Series("x", WORDS[:5_000]),
    "words that are all rare": pl.Series("x", [f"rare {i}" for i in range(3_000)]),
}


def new_values(reference):
    """What comes later: also missing, infinite, far outside, and never seen."""
    if reference.dtype == pl.String:
        later = [*WORDS, *reference.to_list()[:50], "never seen", "", *[None] * 30]
        return pl.Series("x", later)
    later = [*NUMBERS, *reference.to_list()[:50], 4.2, -1e9, 1e300, float("nan"), float("inf"), *[None] * 30]
    return pl.Series("x", later, dtype=pl.Float64)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("size", [9, 1_000, 100_000])
def test_groups_are_counted_as_each_by_itself(name, size):
    reference, values = build_reference(REFERENCES[name]), new_values(REFERENCES[name])
    random = np.random.default_rng(size)
    values = values.gather(random.permutation(len(values)))
    n = -(-len(values) // size)
    for groups in (np.arange(len(values)) // size, random.integers(0, n, len(values))):
        together = count_groups(values, groups, n + 1, reference)
        assert len(together) == n + 1
        for i in {0, n // 2, n - 1, n}:
            alone = count_column(values.filter(groups == i), reference)
            assert together[i].bins.tolist() == alone.bins.tolist()
            assert dataclass_counts(together[i]) == dataclass_counts(alone)
    assert sum(c.unseen + c.outside for c in together) > 0


def dataclass_counts(counts):
    return counts.missing, counts.unseen, counts.outside, counts.far, counts.rows
