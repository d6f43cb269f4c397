"""Puts comparisons into words for whoever is on call."""

from __future__ import annotations

from evermodel.core import plugs
from evermodel.core.judgement import Comparison


def described(c: Comparison) -> str:
    """``AUC 0.812 -> 0.824: +0.012 (95 % sure: +0.004 to +0.020; 1,200 rows, DeLong)``."""
    label = plugs.module("metrics", c.metric).LABEL
    sure = f"{100 * c.confidence:.3g} % interval {c.low:+.4g} to {c.high:+.4g}" if c.low == c.low else "no interval"
    return f"{label} {c.champion:.4g} -> {c.challenger:.4g}: {c.difference:+.4g} ({sure}; {c.n:,} rows, {c.method})"


def size_of(metric: str, amount: float) -> str:
    """A difference in the metric's unit: ``1.2 points`` of a score, ``0.034`` of a loss."""
    if plugs.module("metrics", metric).MARGIN_UNIT == "points":
        return "1 point" if abs(100 * amount - 1) < 1e-9 else f"{100 * amount:.3g} points"
    return f"{amount:.3g}"


def with_rows(text: str, rows_needed: int | None) -> str:
    return f"{text} About {rows_needed:,} judged rows would decide." if rows_needed else text
