"""Spans of time and sizes as people write them: 90s, 2 weeks, 50MB."""

from __future__ import annotations

import re

from evermodel.core.errors import BadSetting

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_SHORT = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week"}
_BYTES = {"": 1, "B": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def counted_unit(text: str) -> tuple[int, str] | None:
    """ "2 weeks" -> (2, "week"), "day" -> (1, "day"), "90s" -> (90, "second"); None where it is something else."""
    match = re.fullmatch(r"(?:every\s+)?(\d+)?\s*([a-z]+)", text.strip().lower())
    if not match:
        return None
    unit = _SHORT.get(match[2], match[2].removesuffix("s") if len(match[2]) > 3 else match[2])
    number = int(match[1]) if match[1] else 1
    return (number, unit) if unit in (*SECONDS, "month") and 0 < number < 100_000 else None


def seconds_of(text: str, what: str) -> float:
    """Seconds of "90s", "2 hours", "7 days". A month has no fixed length, so it is refused. Raises BadSetting."""
    found = counted_unit(text)
    if found is None or found[1] == "month":
        raise BadSetting(f"{what} must be a span such as 90s, 2 hours or 7 days. Got {text!r}.")
    return float(found[0] * SECONDS[found[1]])


def bytes_of(text: str, what: str) -> int:
    """Bytes of "50MB" or "800 KB" (powers of ten). Raises BadSetting."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?B)?", text.strip().upper())
    if not match or float(match[1]) <= 0:
        raise BadSetting(f"{what} must be a size such as 800KB, 50MB or 2GB. Got {text!r}.")
    return int(float(match[1]) * _BYTES[match[2] or ""])
