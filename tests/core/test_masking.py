"""Secrets are masked and control characters shown, in every error and every line that a command prints."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evermodel.core.errors import BadData
from evermodel.core.masking import SafeFormatter, has_secret, make_printable, mask_secrets

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@/:&;'\"?="), min_size=3)


@pytest.mark.parametrize(
    "text, masked",
    [
        ("postgresql+psycopg://u:S3CRET@h:1/db::SELECT 1", "postgresql+psycopg://u:***@h:1/db::SELECT 1"),
        ("postgresql:/u:S3CRET@h/db", "postgresql:/u:***@h/db"),
        ("postgresql://h/db?user=u&password=S3CRET::SELECT 1", "postgresql://h/db?user=u&password=***::SELECT 1"),
        ("https://h/x?Token=S3CRET&a=1", "https://h/x?Token=***&a=1"),
        ("postgresql://u:env:DB@h/db", "postgresql://u:env:DB@h/db"),
        ("the file C:/rows/a.csv", "the file C:/rows/a.csv"),
        ("SELECT a FROM t WHERE mail = 'x@y.org'", "SELECT a FROM t WHERE mail = 'x@y.org'"),
    ],
)
def test_secrets_are_masked_and_nothing_else(text, masked):
    assert mask_secrets(text) == masked
    assert has_secret(text) == (text != masked)


@given(PASSWORDS)
def test_no_error_shows_a_password(password):
    if password.startswith(("env", "file", "*")):
        return
    error = BadData(f"The database postgresql://me:{password}@db.example/rows refused.", f"mysql://a:{password}@b/c")
    assert f":{password}@" not in str(error) and f":{password}@" not in error.args[0]


@given(st.text())
def test_printable_text_holds_no_control_character_but_newline_and_tab(text):
    shown = make_printable(text)
    assert all(c in "\n\t" or (ord(c) >= 32 and not 127 <= ord(c) < 160) for c in shown)
    assert make_printable(shown) == shown


def test_an_escape_is_shown_and_letters_of_any_language_stay():
    assert make_printable("a\x1b]0;OWNED\x07ü漢\u202e") == "a\\x1b]0;OWNED\\x07ü漢\\u202e"


def test_logged_tracebacks_are_masked_too():
    try:
        raise ValueError("postgresql://u:S3CRET@h/db \x1b[31m")
    except ValueError as error:
        record = logging.LogRecord("x", logging.INFO, "f", 1, "failed", (), (ValueError, error, error.__traceback__))
    text = SafeFormatter("%(message)s").format(record)
    assert "S3CRET" not in text and "\x1b" not in text and "\\x1b[31m" in text
