"""Makes text safe to show: passwords are masked, and control characters become visible."""

from __future__ import annotations

import logging
import re

HIDDEN = "***"
REFERENCES = ("env:", "file:")  # name a secret, and are none
# Of "postgresql://user:PASSWORD@host", also where a slash is missing. A secret has no space in it.
_PASSWORD = re.compile(r"(\b[A-Za-z][\w+.-]*:/{1,3}[^\s:/@]*):([^\s@]+?)@(?=[^\s@/]*)")
_PARAMETER = re.compile(
    r"\b((?:password|passwd|pwd|secret|token|api_?key|access_?key|signature|sig)=)([^&\s:;'\"]+)", re.IGNORECASE
)
# C0 and C1 without newline and tab, and the marks that reorder text (Unicode's bidirectional controls).
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def mask_secrets(text: str) -> str:
    """The text with every password of a URL, and every secret parameter of one, as ``***``.

    Example:
        >>> mask_secrets("postgresql://me:hunter2@db/rows?token=abc")
        'postgresql://me:***@db/rows?token=***'
    """
    text = _PASSWORD.sub(_mask_password, text)
    return _PARAMETER.sub(lambda match: f"{match[1]}{HIDDEN}", text)


def has_secret(text: str) -> bool:
    """Whether a URL in the text holds a password, or a secret parameter, written out."""
    return mask_secrets(text) != text


def make_printable(text: str) -> str:
    r"""The text with control characters as their escapes, so that no name in a file can drive a terminal.

    Example:
        >>> print(make_printable("age\x1b[31m"))
        age\x1b[31m
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class SafeFormatter(logging.Formatter):
    """Masks secrets and shows control characters, in tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        return make_printable(mask_secrets(super().format(record)))


def _mask_password(match: re.Match[str]) -> str:
    return match[0] if match[2].startswith(REFERENCES) else f"{match[1]}:{HIDDEN}@"
