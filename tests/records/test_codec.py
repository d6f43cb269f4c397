"""The codec: round trip, schema versions, migrations, and clear errors for whatever is not a record."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evermodel.core.errors import BadSetting, Damaged
from evermodel.core.records.codec import RecordKind, decode, encode


@dataclass(frozen=True)
class Part:
    """A part of the fixture record."""

    name: str
    value: float = 0.0


@dataclass(frozen=True)
class Fixture:
    """A record of every shape that fields have. In schema 1 ``title`` was called ``label``."""

    title: str
    count: int = 0
    limit: float | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    parts: tuple[Part, ...] = ()
    by_name: Mapping[str, Part] = field(default_factory=dict)
    first: Part | None = None
    setting: int | float | str | bool = 1


def rename_label(raw: dict) -> dict:
    return {("title" if key == "label" else key): value for key, value in raw.items()}


ONE = RecordKind("fixture", Fixture)
TWO = RecordKind("fixture", Fixture, schema=2, migrations={1: rename_label})
numbers = st.floats(allow_nan=False)  # infinities included; NaN has a test of its own, since it equals nothing
parts = st.builds(Part, st.text(), numbers)
records = st.builds(
    Fixture,
    st.text(),
    st.integers(-(2**53), 2**53),
    st.none() | numbers,
    st.tuples(numbers, numbers),
    st.lists(parts, max_size=3).map(tuple),
    st.dictionaries(st.text(), parts, max_size=3),
    st.none() | parts,
    st.integers(0, 9) | st.text() | st.booleans(),
)


@given(records)
def test_a_record_comes_back_as_it_was(record):
    text = encode(ONE, record)
    assert json.loads(text)["schema"] == 1
    assert decode(ONE, text) == record


def test_numbers_that_json_does_not_have_come_back():
    text = encode(ONE, Fixture("a", limit=math.nan, parts=(Part("b", math.inf), Part("c", -math.inf))))
    assert "NaN" not in text.replace('"NaN"', ""), "the text is strict JSON"
    back = decode(ONE, text)
    assert math.isnan(back.limit) and back.parts[0].value == math.inf and back.parts[1].value == -math.inf


def test_a_text_field_may_say_nan():
    assert decode(ONE, encode(ONE, Fixture("NaN"))).title == "NaN"


def test_a_record_of_schema_1_is_migrated_to_schema_2():
    text = json.dumps({"schema": 1, "label": "kept", "count": 3})
    assert decode(TWO, text) == Fixture("kept", 3)
    assert json.loads(encode(TWO, decode(TWO, text)))["schema"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"title": "a"}', "schema version"),
        ('{"schema": true, "title": "a"}', "schema version"),
        ('{"schema": 1}', "title"),
        ('{"schema": 1, "title": 3}', "title"),
        ('{"schema": 1, "title": "a", "count": "many"}', "count"),
        ('{"schema": 1, "title": "a", "limit": "much"}', "limit"),
        ('{"schema": 1, "title": "a", "parts": [{"name": "b", "value": []}]}', "parts[0].value"),
        ('{"schema": 1, "title": "a", "parts": [{"name": "b", "worth": 1}]}', "parts.worth"),
        ('{"schema": 1, "title": "a", "pair": [1]}', "pair"),
        ('{"schema": 1, "title": "a", "colour": "red"}', "colour"),
    ],
)
def test_what_is_not_the_record_is_damaged_and_the_field_is_named(text, words):
    with pytest.raises(Damaged) as caught:
        decode(ONE, text, "churn v3")
    assert caught.value.message.startswith("The fixture of churn v3 cannot be read: ") and words in caught.value.message


def test_a_record_of_a_newer_release_says_so():
    with pytest.raises(BadSetting, match="newer release"):
        decode(ONE, '{"schema": 2, "title": "a"}')


def test_a_migration_that_fails_names_the_schema():
    broken = RecordKind("fixture", Fixture, schema=2, migrations={1: lambda raw: raw["nowhere"]})
    with pytest.raises(Damaged, match="migrated from schema 1"):
        decode(broken, '{"schema": 1, "title": "a"}')


def test_a_value_that_json_cannot_hold_is_refused_when_it_is_written():
    with pytest.raises(TypeError):
        encode(ONE, Fixture("a", setting=object()))  # type: ignore[arg-type]
