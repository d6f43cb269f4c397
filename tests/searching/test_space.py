"""Spaces as users write them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.model.search_space import Dimension, Space, parse_dimension, read_space

KNOWN = {
    "rate": Dimension("rate", "float", 1e-4, 1e-1, log=True),
    "width": Dimension("width", "int", 4, 64),
    "kind": Dimension("kind", "choice", choices=("a", "b")),
}
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(low=NUMBERS, high=NUMBERS, log=st.booleans(), at=st.floats(0, 1))
def test_a_range_holds_what_lies_between_its_ends(low, high, log, at):
    if not low < high or (log and low <= 0):
        with pytest.raises(BadSetting):
            parse_dimension("rate", {"low": low, "high": high, "log": log})
        return
    d = parse_dimension("rate", {"low": low, "high": high, "log": log})
    assert low in d
    assert high in d
    assert min(max(low + at * (high - low), low), high) in d
    assert math.nan not in d
    assert high + abs(high) + 1 not in d
    assert all(v in d or math.isclose(v, high) for v in d.grid(3))


@given(st.lists(st.one_of(st.integers(-9, 9), st.text(max_size=3)), min_size=1, max_size=6, unique_by=repr))
def test_choices_come_back_as_they_were_written(choices):
    d = parse_dimension("kind", choices, "choice")
    assert d.grid(3) == tuple(choices)
    assert all(c in d for c in choices)
    assert read_space({"kind": d.as_json()}, KNOWN).dimensions[0].choices == tuple(choices)


def test_a_space_of_ranges_and_choices(tmp_path):
    file = tmp_path / "space.json"
    file.write_text(json.dumps({"rate": {"low": 0.001, "high": 0.1, "log": True}, "width": [8, 16], "kind": ["b"]}))
    space = read_space(file, KNOWN)
    assert space.names == ("rate", "width", "kind")
    assert space.size is None
    assert len(space.points(3)) == 6
    assert space.points(3)[1]["rate"] == pytest.approx(0.001)
    assert {"rate": 0.01, "width": 8, "kind": "b"} in space
    assert {"rate": 0.01, "width": 9, "kind": "b"} not in space
    toml = tmp_path / "space.toml"
    toml.write_text("width = [8, 16]\n[rate]\nlow = 0.001\nhigh = 0.1\nlog = true\n")
    assert read_space(toml, KNOWN).size is None
    assert Space((KNOWN["width"], KNOWN["kind"])).size == 122


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"rate": 3}',
        '{"rate": {"low": 1}}',
        '{"rate": {"low": 2, "high": 1}}',
        '{"rate": {"low": -1, "high": 1, "log": true}}',
        '{"rate": {"low": 0, "high": 1, "step": 2}}',
        '{"rate": []}',
        '{"rate": [1, 1]}',
        '{"rate": [null]}',
        '{"rate": {"low": "a", "high": 1}}',
        '{"kind": {"low": 0, "high": 1}}',
        '{"rate": {"low": true, "high": 2}}',
        '{"rate": [NaN]}',
        '{"depth": [1]}',
        "[" * 5000,
    ],
)
def test_what_is_no_space_is_refused(tmp_path, text):
    file = tmp_path / "space.json"
    file.write_text(text)
    with pytest.raises(AskedWrongly) as error:
        read_space(file, KNOWN)
    assert len(str(error.value)) < 600


def test_an_unknown_hyperparameter_names_those_there_are():
    with pytest.raises(NotFound, match="rate"):
        read_space({"rte": [1]}, KNOWN)
