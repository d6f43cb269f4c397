"""Numbers and verdicts in plain words. What is not known is said so, never shown as 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from evermodel.core.stats.metric import METRICS

UNKNOWN = "not known"
MINUS = "−"  # noqa: RUF001 - a real minus sign is as wide as a plus
DECIDED = {  # decision -> what happened, the word's sign, one sentence
    "promote": ("promoted", "✓", "The challenger is in service."),
    "awaiting_approval": (
        "awaiting approval",
        "…",
        "The judge would promote the challenger; it waits for a person's approval, and the champion stays in service.",
    ),
    "hold": ("held", "Ⅱ", "The rows do not show what the policy asks for; the champion stays in service."),
    "reject": ("rejected", "✕", "A gate failed the challenger; the champion stays in service."),
    "invalid": (
        "quarantined",
        "?",
        "The new rows cannot judge a model and were quarantined; the champion stays in service.",
    ),
    "": ("adopted", "●", "The model was adopted as it is; every update is compared with it."),
}


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def format_number(value: Any, digits: int = 4) -> str:
    """A number with as many digits as say something: 0.8123, 27.38, 12,345."""
    if not is_number(value):
        return UNKNOWN
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 10:
        text = f"{value:.{max(digits - 2, 0)}f}"
    elif size == 0 or size >= 10.0**-digits:
        text = f"{value:.{digits}f}"
    else:
        text = f"{value:.2g}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def format_signed(value: Any, digits: int = 4) -> str:
    """A difference: with its sign, even where it is positive."""
    if not is_number(value):
        return UNKNOWN
    return f"+{format_number(value, digits)}" if value > 0 else format_number(value, digits)


def beside(value: Any, score: Any) -> str:
    """A difference with as many digits behind the point as the score it is the difference of."""
    if not is_number(value) or not is_number(score):
        return format_signed(value)
    digits = 4 if abs(score) < 10 else 2 if abs(score) < 1000 else 0
    text = f"{value:+,.{digits}f}"
    if value == 0:
        return text[1:]
    return (text if float(text.replace(",", "")) else f"{value:+.2g}").replace("-", MINUS, 1)


def count(value: Any) -> str:
    return f"{value:,.0f}".replace("-", MINUS) if is_number(value) else UNKNOWN


def percent(share: Any, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %" if is_number(share) else UNKNOWN


def seconds(value: Any) -> str:
    """0.4 s, 12 s, 3 min 20 s."""
    if not is_number(value):
        return UNKNOWN
    if value == 0:
        return "none"
    if value < 0.05:
        return "under 0.1 s"
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def size(value: Any) -> str:
    """Bytes as people say them."""
    if not is_number(value):
        return UNKNOWN
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if unit != "bytes" else f"{value:.0f} bytes"
        value /= 1000
    return f"{value:.3g} GB"


def day(iso: str) -> str:
    """2026-03-01T12:30:00+00:00 -> 2026-03-01 12:30 UTC."""
    return f"{iso[:10]} {iso[11:16]} UTC" if len(iso) >= 16 and iso.endswith("+00:00") else iso


def setting_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in settings.items())


def label_of(metric: str) -> str:
    """The metric's name for people; its own where the plugin is not installed here."""
    plugin = _plug(metric)
    return str(plugin.LABEL) if plugin is not None else metric


def higher_is_better(metric: str) -> bool:
    plugin = _plug(metric)
    return bool(plugin.HIGHER_IS_BETTER) if plugin is not None else True


def _plug(metric: str) -> Any:
    return METRICS.load_module(metric) if metric in METRICS.names() else None


def describe_drift_level(much: float) -> str:
    """The usual reading of the population stability index; the same bounds serve the KS distance."""
    return "moved far" if much >= 0.25 else "moved" if much >= 0.1 else "steady"
