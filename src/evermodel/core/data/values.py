"""Reads numbers, moments and labels out of whatever a column holds, as polars expressions."""

from __future__ import annotations

import polars as pl

# What people write where they have no value; compared in lower case, blanks around it taken away.
NOTHING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "<na>", "?", "-", "--", ".")

_SIGN = r"^[+-]?"
_EUROPEAN = _SIGN + r"\d{1,3}(\.\d{3})+,\d+$"  # 1.234,5
_LONE_COMMA = _SIGN + r"\d*,\d+([eE][+-]?\d+)?$"  # 1,5
_COMMA_AS_GROUP = _SIGN + r"[1-9]\d{0,2},\d{3}$"  # 1,234: could be either
_DOTS_AS_GROUP = _SIGN + r"[1-9]\d{0,2}(\.\d{3})+$"  # 1.234: could be either
_GROUPED = _SIGN + r"\d{1,3}([,' \x{a0}\x{202f}]\d{3})+(\.\d+)?$"  # 1,234,567.8
# Forms of a moment that can be told from any other. A year stands first, a month is a word, or the day stands before
# two dots.
_MOMENTS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
)
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y")
_WORDY_DAYS = ("%b %d %Y", "%d %b %Y", "%Y %b %d")
_LONG_MONTHS = (
    r"\b(jan)uary\b|\b(feb)ruary\b|\b(mar)ch\b|\b(apr)il\b|\b(jun)e\b|\b(jul)y\b|\b(aug)ust\b|"
    r"\b(sep)(?:t|tember)\b|\b(oct)ober\b|\b(nov)ember\b|\b(dec)ember\b"
)
_CLOCKS = ("%H:%M:%S%.f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
# Forms in which day and month change places between countries: one of them must be proven by a day above 12.
MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y")
DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y")
TRUE, FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")


def is_missing_text(text: pl.Expr) -> pl.Expr:
    """Whether a text column holds no value, by the words people use for that."""
    return text.is_null() | text.str.strip_chars().str.to_lowercase().is_in(NOTHING)


def plain_number(text: pl.Expr) -> pl.Expr:
    """Text as Float64 where it is a number as Python writes it, blanks around it allowed; else null."""
    return text.str.strip_chars().cast(pl.Float64, strict=False)


def parse_number(text: pl.Expr, *, decimal_comma: bool = False) -> pl.Expr:
    """Text as Float64: also 1,234.5 and 1.234,5 and 1 234; ``decimal_comma`` settles what "1,234" means. Else null."""
    s = text.str.strip_chars()
    lone = s.str.contains(_LONE_COMMA)
    if not decimal_comma:
        lone = lone & ~s.str.contains(_COMMA_AS_GROUP)
    dots = s.str.contains(_DOTS_AS_GROUP) if decimal_comma else s.str.contains(_SIGN + r"[1-9]\d{0,2}(\.\d{3}){2,}$")
    written = (
        pl.when(dots)
        .then(s.str.replace_all(".", "", literal=True))
        .when(s.str.contains(_EUROPEAN))
        .then(s.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .when(lone)
        .then(s.str.replace(",", ".", literal=True))
        .when(s.str.contains(_GROUPED))
        .then(s.str.replace_all(r"[,' \x{a0}\x{202f}]", ""))
        .otherwise(s)
    )
    return written.cast(pl.Float64, strict=False)


def proves_decimal_comma(text: pl.Expr) -> pl.Expr:
    """Whether a text can only be read with a decimal comma: 1,5 or 0,125, but not 1,234."""
    s = text.str.strip_chars()
    return (s.str.contains(_LONE_COMMA) & ~s.str.contains(_COMMA_AS_GROUP)) | s.str.contains(_EUROPEAN)


def groups_by_points(text: pl.Expr) -> pl.Expr:
    """Whether the points of a text can be signs between thousands: 1.234 or 12.345.678."""
    return text.str.strip_chars().str.contains(_DOTS_AS_GROUP)


def number(column: pl.Expr, dtype: pl.DataType, *, decimal_comma: bool = False, plain: bool = False) -> pl.Expr:
    """Any column as Float64: moments as seconds since 1970, truth as 0 and 1, text as the number it spells."""
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        text = column.cast(pl.String)
        return plain_number(text) if plain else parse_number(text, decimal_comma=decimal_comma)
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    if dtype == pl.Time:
        return column.cast(pl.Int64).cast(pl.Float64) / 1e9
    return column.cast(pl.Float64, strict=False)


def parse_moment(text: pl.Expr) -> pl.Expr:
    """Text as Datetime (microseconds, UTC where an offset is given): ISO 8601, year first with slashes, 31.12.2024."""
    s = _clean_moment(text).str.replace("T", " ", literal=True)
    colons = s.str.replace(r"(:\d{2}(?:\.\d+)?[+-]\d{2})(\d{2})$", "${1}:${2}")
    offset = colons.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", strict=False, time_unit="us", time_zone="UTC")
    tries = [s.str.to_datetime(f, strict=False, time_unit="us") for f in _MOMENTS]
    days = [s.str.to_date(f, strict=False).cast(pl.Datetime("us")) for f in _DAYS]
    return pl.coalesce(*tries, *days, offset.dt.replace_time_zone(None))


def parse_period(text: pl.Expr) -> pl.Expr:
    """2024-12 or 2024Q4 as the Datetime of its first day: as a time alone, since it could be a code of anything."""
    return pl.coalesce(*_parse_periods(text.str.strip_chars()))


def _parse_periods(s: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    month = pl.when(s.str.contains(r"^\d{4}-\d{2}$")).then(s + "-01").str.to_date("%Y-%m-%d", strict=False)
    quarter = pl.when(s.str.contains(r"^\d{4}-?[qQ][1-4]$")).then(
        s.str.slice(0, 4) + "-" + (s.str.slice(-1).cast(pl.Int64, strict=False) * 3 - 2).cast(pl.String) + "-01"
    )
    first = quarter.str.to_date("%Y-%m-%d", strict=False)
    return month.cast(pl.Datetime("us")), first.cast(pl.Datetime("us"))


def _clean_moment(text: pl.Expr) -> pl.Expr:
    """Without the words for UTC behind it."""
    return text.str.strip_chars().str.replace(r"\s*([zZ]|UTC|GMT)$", "")


def parse_worded_moment(text: pl.Expr) -> pl.Expr:
    """Text as Datetime where the month is an English word: Dec 31 2024, 31-Dec-2024 11:05 PM, December 31st, 2024.

    A word for a zone other than UTC is not read: what it means depends on the day.
    """
    plain = (
        _clean_moment(text)
        .str.to_lowercase()
        .str.replace_all(r"[,\-]", " ")
        .str.replace_all(r"(\d)(st|nd|rd|th)\b", "${1}")
    )
    plain = plain.str.replace(_LONG_MONTHS, "${1}${2}${3}${4}${5}${6}${7}${8}${9}${10}${11}")
    plain = plain.str.replace(r"^(mon|tue|wed|thu|fri|sat|sun)[a-z]*\s+", "").str.replace_all(r"\s+", " ")
    wordy = pl.when(plain.str.contains(r"[a-z]{3}")).then(plain)
    return _parse_forms(wordy, _WORDY_DAYS)


def parse_slashed_moment(text: pl.Expr, *, day_first: bool) -> pl.Expr:
    """12/31/2024 11:05 PM, or 31/12/2024 with ``day_first``, as Datetime; null for any other form."""
    s = _clean_moment(text).str.replace_all(r"\s+", " ")
    return _parse_forms(s, DAY_FIRST if day_first else MONTH_FIRST)


def _parse_forms(s: pl.Expr, days: tuple[str, ...]) -> pl.Expr:
    """The first form of a day, alone or with a clock behind it, that reads the text."""
    alone = [s.str.to_date(day, strict=False).cast(pl.Datetime("us")) for day in days]
    upper = s.str.replace(r"(?i)\s*([ap])\.?m\.?$", " ${1}M").str.replace(r" aM$", " AM").str.replace(r" pM$", " PM")
    timed = [upper.str.to_datetime(f"{day} {clock}", strict=False, time_unit="us") for day in days for clock in _CLOCKS]
    return pl.coalesce(*alone, *timed)


def parse_truth(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A column as Float64 0 and 1; anything that is neither true nor false is null."""
    if dtype == pl.Boolean:
        return column.cast(pl.Float64)
    words = canonical_text(column, dtype).str.to_lowercase()
    yes, no = words.is_in(TRUE), words.is_in(FALSE)
    return pl.when(yes).then(1.0).when(no).then(0.0).otherwise(None)


def canonical_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A value's one spelling: 1, 1.0 and " 1" of numbers are all "1", blanks around words go; empty is null."""
    if dtype.is_float():
        whole = column.is_finite() & (column == column.round()) & (column.abs() < 2**53)
        text = (
            pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))
        )
        return pl.when(column.is_nan()).then(None).otherwise(text)
    if dtype == pl.Boolean:
        return column.cast(pl.String)
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    text = column.cast(pl.String, strict=False).str.strip_chars()
    return pl.when(text == "").then(None).otherwise(text)
