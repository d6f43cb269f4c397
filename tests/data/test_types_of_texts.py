"""The types of text columns are those that all rows show, though only the first rows are asked for every type."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.data.text_tables import text_types
from evermodel.core.data.text_tables.text_types import infer_types

VALUES = ("1", "-7", "2.5", "1,5", "1.234", "2,250.5", "true", "FALSE", "2026-01-31", "2026-01-31 10:00", "31/12/2025")
MORE = ("12/31/2025", "Dec 31 2025", "NA", "", "?", "007", "red", "1e3", " 4 ")
COLUMN = st.lists(st.sampled_from((*VALUES, *MORE)), min_size=20, max_size=20)
# What begins as one type and turns into another after the few, or after all, that are looked at first.
TURNING = st.tuples(st.sampled_from(VALUES), st.sampled_from((*VALUES, *MORE)), st.integers(1, 19)).map(
    lambda drawn: [drawn[0]] * drawn[2] + [drawn[1]] * (20 - drawn[2])
)


@settings(max_examples=150, deadline=None)
@given(columns=st.lists(COLUMN | TURNING, min_size=1, max_size=4))
def test_looking_at_the_first_rows_changes_nothing(columns: list[list[str]]) -> None:
    frame = pl.DataFrame({f"c{i}": values for i, values in enumerate(columns)}, schema_overrides=None).lazy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_types, "FEW", 2)
        patch.setattr(text_types, "LOOK", 5)
        quick = infer_types(frame).collect()
        patch.setattr(text_types, "FEW", 1_000)
        patch.setattr(text_types, "LOOK", 1_000)
        whole = infer_types(frame).collect()
    assert quick.schema == whole.schema
    assert quick.equals(whole)
