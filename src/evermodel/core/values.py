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
_MOMENTS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
)
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y")
TRUE, FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")


def is_nothing(text: pl.Expr) -> pl.Expr:
    """Whether a text column holds no value, by the words people use for that."""
    return text.is_null() | text.str.strip_chars().str.to_lowercase().is_in(NOTHING)


def plain_number(text: pl.Expr) -> pl.Expr:
    """Text as Float64 where it is a number as Python writes it, blanks around it allowed; else null."""
    return text.str.strip_chars().cast(pl.Float64, strict=False)


def number_from_text(text: pl.Expr, *, decimal_comma: bool = False) -> pl.Expr:
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


def number(column: pl.Expr, dtype: pl.DataType, *, decimal_comma: bool = False, plain: bool = False) -> pl.Expr:
    """Any column as Float64: moments as seconds since 1970, truth as 0 and 1, text as the number it spells."""
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        text = column.cast(pl.String)
        return plain_number(text) if plain else number_from_text(text, decimal_comma=decimal_comma)
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    if dtype == pl.Time:
        return column.cast(pl.Int64).cast(pl.Float64) / 1e9
    return column.cast(pl.Float64, strict=False)


def moment_from_text(text: pl.Expr) -> pl.Expr:
    """Text as Datetime (microseconds, UTC where an offset is given): ISO 8601, year first with slashes, 31.12.2024."""
    s = text.str.strip_chars().str.replace("T", " ", literal=True).str.replace(r"[zZ]$", "")
    offset = s.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", strict=False, time_unit="us", time_zone="UTC")
    tries = [s.str.to_datetime(f, strict=False, time_unit="us") for f in _MOMENTS]
    days = [s.str.to_date(f, strict=False).cast(pl.Datetime("us")) for f in _DAYS]
    return pl.coalesce(*tries, *days, offset.dt.replace_time_zone(None))


def truth(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
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
