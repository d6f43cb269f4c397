"""The columns' names of a text table whose first line is no header, as the user states them."""

from __future__ import annotations

import csv as reader
from pathlib import Path

import polars as pl

from evermodel.core.data.values import is_missing_text, parse_number
from evermodel.core.errors import BadSetting
from evermodel.core.records.model_signature import AUTO

NO_NAMES = "none"
SAMPLE = 1_000  # lines by which a header is told from values


def state_names(header: str, first: list[str], given: Path) -> list[str]:
    """The names of a file without a header line, ``A,B,C``; or 0, 1, 2, … for "none".

    ``first`` are the values of its first line. Raises BadSetting where there are more or fewer of them than names,
    a name is empty or given twice, or the first line is the header after all.
    """
    if header.strip().lower() == NO_NAMES:
        return [str(place) for place in range(len(first))]
    names = _split_names(header)
    if not names or not all(names) or len(set(names)) < len(names):
        raise BadSetting(f"`header` must name each column once: A,B,C, or none. Got {header!r}.")
    if [name.casefold() for name in names] == [value.casefold() for value in first]:
        raise BadSetting(f"The first line of {given} is its header already.", "Leave `header` out.")
    if len(names) != len(first):
        raise BadSetting(f"`header` names {len(names)} columns, and the first line of {given} has {len(first)} values.")
    return names


def choose_header(usual: str, source: Path, between: str, given: Path) -> str:
    """``usual`` for a table without a header, as the model's tables usually are; "auto" where its first line is one.

    That is so where it holds one of the usual names. Raises BadSetting where it holds words, and the lines below hold
    numbers: then these are names as well, but not those that the model knows.
    """
    try:
        lines = pl.scan_csv(source, separator=between, infer_schema=False, glob=False, has_header=False, n_rows=SAMPLE)
        sample = lines.collect()
    except pl.exceptions.PolarsError:  # what is wrong with the lines is said when the table is read
        return usual
    if not sample.height:
        return usual
    first = [str(value or "").strip() for value in sample.row(0)]
    known = {name.casefold() for name in _split_names(usual)}
    if known & {value.casefold() for value in first}:
        return AUTO
    words = _find_words_above_numbers(sample)
    if words and all(words):
        raise BadSetting(
            f"The first line of {given} holds words ({', '.join(first[:4])}) above numbers. The model's tables have no "
            f"header, and these are none of its names: {usual}.",
            'Remove the line; or, where it is the header, say so: --header auto, or header = "auto" in the policy.',
        )
    return usual


def _find_words_above_numbers(sample: pl.DataFrame) -> list[bool]:
    """For each column of numbers, leaving out its first value: whether that value is a word."""
    text = pl.all().str.strip_chars()
    is_word = sample.head(1).select(~is_missing_text(text) & parse_number(text).is_null())
    rest = sample.tail(-1)
    numbers = rest.select((is_missing_text(text) | parse_number(text).is_not_null()).all())
    present = rest.select((~is_missing_text(text)).any())
    return [bool(is_word[name][0]) for name in sample.columns if rest.height and numbers[name][0] and present[name][0]]


def _split_names(header: str) -> list[str]:
    """The names of ``A,B,C``; none of "none"."""
    if header.strip().lower() == NO_NAMES:
        return []
    return [name.strip() for name in next(iter(reader.reader([header], skipinitialspace=True)), [])]
