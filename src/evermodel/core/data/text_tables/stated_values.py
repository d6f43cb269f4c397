"""What a user may state of a text table: its separator, its decimal sign, its encoding."""

from __future__ import annotations

import codecs

from evermodel.core.errors import BadSetting
from evermodel.core.records.model_signature import AUTO, TableDialect

WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "blank": " ", "space": " "}
DECIMALS = (AUTO, ".", ",")


def check_dialect(dialect: TableDialect) -> None:
    """Raises BadSetting where what is said cannot be the dialect of any table."""
    if dialect.separator not in ("", AUTO):
        read_separator(dialect.separator)
    if dialect.encoding not in ("", AUTO):
        read_encoding(dialect.encoding)
    if dialect.decimal not in ("", *DECIMALS):
        raise BadSetting(f"`decimal` must be one of {', '.join(DECIMALS)}. Got {dialect.decimal!r}.")


def read_separator(text: str) -> str:
    """The separator that ``text`` means, such as ``;`` or ``tab``. Raises BadSetting."""
    separator = WORDS.get(text.lower(), text)
    if len(separator) != 1 or separator.isalnum() or separator in "\"'\r\n":
        raise BadSetting(
            f"`separator` must be one sign between the values. Got {text!r}.", "Write for example ; or | or tab."
        )
    return separator


def read_encoding(text: str) -> str:
    """The name by which Python knows an encoding of text. Raises BadSetting for an unknown one."""
    try:
        found = codecs.lookup(text).name
        if not isinstance("".encode(found), bytes) or not isinstance(b"".decode(found), str):
            raise LookupError
    except (LookupError, UnicodeError, ValueError, TypeError):
        raise BadSetting(
            f"`encoding` must be the name of an encoding. Got {text!r}.", "Write for example windows-1252 or utf-16."
        ) from None
    return found
