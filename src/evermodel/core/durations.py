"""Times and sizes as people write them: 90s, 2 weeks, 50MB. The one parser of them."""

from __future__ import annotations

import re

from evermodel.core.errors import BadSetting

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
SHOWN = 60  # letters of what is no time or size
LONGEST = 1e11  # seconds: about as many years as the calendar has
_SHORT = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week"}
_BYTES = {"": 1, "B": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def parse_counted_unit(text: str) -> tuple[int, str] | None:
    """ "2 weeks" -> (2, "week"), "day" -> (1, "day"), "90s" -> (90, "second"); None where it is something else."""
    match = re.fullmatch(r"(?:every\s+)?(\d{1,20})?\s*([a-z]+)", text.strip().lower())
    if not match:
        return None
    unit = _SHORT.get(match[2], match[2].removesuffix("s") if len(match[2]) > 3 else match[2])
    number = int(match[1]) if match[1] else 1
    most = 1_200 if unit == "month" else 100_000  # further on the calendar ends
    return (number, unit) if unit in (*SECONDS, "month") and 0 < number < most else None


def find_seconds(text: str) -> float | None:
    """Seconds of "90s", "1.5h", "2 weeks" or "day"; None of anything else. A month has no fixed length."""
    counted = parse_counted_unit(text)
    if counted is not None and counted[1] in SECONDS:
        return float(counted[0] * SECONDS[counted[1]])
    match = re.fullmatch(r"(\d{1,20}(?:\.\d{1,20})?)([a-z]+)", text.strip())
    if not match or match[2] not in _SHORT or not float(match[1]):
        return None
    seconds = float(match[1]) * SECONDS[_SHORT[match[2]]]
    return seconds if seconds < LONGEST else None


def parse_duration(text: str, what: str) -> float:
    """``find_seconds``. Raises BadSetting, naming ``what``, where it is no time of fixed length."""
    seconds = find_seconds(text)
    if seconds is None:
        raise BadSetting(f"{what} must be a time such as 90s, 2 hours or 7 days. Got {text[:SHOWN]!r}.")
    return seconds


def parse_size(text: str, what: str) -> int:
    """Bytes of "50MB" or "800 KB" (powers of ten). Raises BadSetting."""
    match = re.fullmatch(r"(\d{1,20}(?:\.\d{1,20})?)\s*([KMG]?B)?", text.strip().upper())
    if not match or float(match[1]) <= 0:
        raise BadSetting(f"{what} must be a size such as 800KB, 50MB or 2GB. Got {text[:SHOWN]!r}.")
    return int(float(match[1]) * _BYTES[match[2] or ""])
