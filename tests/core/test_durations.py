"""One parser of times: what people write for a schedule, a budget, a window, an age."""

from __future__ import annotations

import pytest

from evermodel.core.durations import find_seconds, parse_duration
from evermodel.core.errors import BadSetting


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("1.5h", 5400.0),
        ("10 min", 600.0),
        ("2 weeks", 1_209_600.0),
        ("day", 86_400.0),
        ("7d", 604_800.0),
    ],
)
def test_what_people_write_is_read(text, seconds):
    assert find_seconds(text) == parse_duration(text, "age") == seconds


@pytest.mark.parametrize("text", ["", "0s", "-1h", "1 month", "soon", "5 lightyears", "1e9s"])
def test_anything_else_is_refused_by_the_name_of_what_was_asked(text):
    assert find_seconds(text) is None
    with pytest.raises(BadSetting, match="age must be a time such as"):
        parse_duration(text, "age")
