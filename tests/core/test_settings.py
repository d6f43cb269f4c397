"""Settings are read from a plugin's own signature."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evermodel.core.errors import BadSetting
from evermodel.core.settings import In, read_settings, settings_of


def plugin(
    parents,
    /,
    *,
    rate: Annotated[float, In(0.0, 1.0)] = 0.5,
    n: Annotated[int | None, In(1, None)] = None,
    kind: Literal["a", "b"] = "a",
    fast: bool = False,
):
    """A plugin."""


def test_the_signature_is_the_schema():
    assert [s.name for s in settings_of(plugin)] == ["rate", "n", "kind", "fast"]
    assert read_settings(plugin, {"rate": "0.25", "n": "3", "kind": "b", "fast": "yes"}) == {
        "rate": 0.25,
        "n": 3,
        "kind": "b",
        "fast": True,
    }
    assert read_settings(plugin, {"n": "none"}) == {"n": None}


@pytest.mark.parametrize(
    "given_",
    [{"rate": 2}, {"rate": "x"}, {"rate": None}, {"n": 0}, {"n": "1.5"}, {"kind": "c"}, {"fast": "maybe"}, {"q": 1}],
)
def test_what_is_out_of_bounds_is_refused_with_the_rule(given_):
    with pytest.raises(BadSetting) as error:
        read_settings(plugin, given_)
    assert next(iter(given_)) in error.value.message


@given(st.text())
def test_any_text_is_a_number_or_refused(text):
    try:
        value = read_settings(plugin, {"rate": text})["rate"]
    except BadSetting:
        return
    assert 0.0 <= value <= 1.0
