"""The source, broken: it claims every path, also those that are no file of its own."""

from __future__ import annotations

from typing import Any

from evermodel.core.plugins import Confidence
from stranger_plugins.logfmt import SUFFIXES, logfmt

__all__ = ["SUFFIXES", "logfmt", "recognize"]


def recognize(source: Any, /) -> Confidence:
    """Whatever it is."""
    return Confidence.CERTAIN
