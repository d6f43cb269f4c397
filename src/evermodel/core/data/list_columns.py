"""List columns, such as token ids: each becomes a column for each place, tokens[0], tokens[1], …

Lists of one length are read as they are. Lists of different lengths are padded and cut as the model's user said; in
text tables such lists are texts: [4, 17, 2], or the numbers alone with spaces between them.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

import polars as pl

from evermodel.core.errors import BadData
from evermodel.core.records.model_signature import ListLayout

MOST_PLACES = 100_000  # columns that one list column becomes
MOST_SHOWN = 5  # rows that an error names
_NUMBER = r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_LIST = rf"^\s*(?:\[\s*(?:{_NUMBER}(?:[\s,]+{_NUMBER})*)?\s*\]|{_NUMBER}(?:\s+{_NUMBER})*)\s*$"


def lay_out_lists(frame: pl.LazyFrame, lists: Sequence[ListLayout]) -> pl.LazyFrame:
    """The rows with these list columns padded and cut to their places.

    A row without a list has no value in any of its places. Costs one pass over texts, and one over the columns of which
    none may be cut. Raises BadData for lists that are too long, and for texts that are no list.
    """
    frame, there = read_lists(frame, lists)
    if not there:
        return frame
    for layout in there:
        if layout.cut_side is None:
            _refuse_longer(frame, layout)
    places = [place for layout in there for place in _find_places(layout)]
    return frame.select(pl.exclude(*(layout.column for layout in there)), *places)


def read_lists(frame: pl.LazyFrame, lists: Sequence[ListLayout]) -> tuple[pl.LazyFrame, list[ListLayout]]:
    """The rows with those of these columns that are there as lists of numbers, and which they are. Raises BadData."""
    schema = frame.collect_schema()
    there = [layout for layout in lists if layout.column in schema]
    frame = _as_lists(frame, [layout.column for layout in there])
    for layout in there:
        if schema[layout.column] == pl.String:
            frame = _read_text_lists(frame, layout.column)
        elif schema[layout.column].is_numeric():  # a text table in which each list is of one number
            alone = pl.col(layout.column)
            frame = frame.with_columns(pl.when(alone.is_not_null()).then(pl.concat_list(alone)).alias(layout.column))
    return frame, there


def flatten_lists(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Each column of lists of numbers as a column for each place.

    Costs one pass over these columns. Raises BadData where the lists are not of one length.
    """
    lists = [name for name, dtype in frame.collect_schema().items() if isinstance(dtype, (pl.List, pl.Array))]
    if not lists:
        return frame
    frame = _as_lists(frame, lists)
    lengths = [pl.col(n).list.len() for n in lists]
    found = frame.select(
        [length.min() for length in lengths] + [length.max().name.suffix(".most") for length in lengths]
    ).collect(engine="streaming")
    shortest, longest = found.row(0)[: len(lists)], found.row(0)[len(lists) :]
    parts: list[pl.Expr] = []
    for name, least, most in zip(lists, shortest, longest, strict=True):
        if least != most or not most:
            raise BadData(
                f"The lists in {name!r} have {least or 0} to {most or 0} values; a model takes lists of one length.",
                "Say how they are padded in the signature file that the model is adopted with: [inputs.NAME], "
                f'columns = ["{name}"], pad = 0, pad_side = "right", each on a line; or pad them yourself.',
            )
        if most > MOST_PLACES:
            raise BadData(f"The lists in {name!r} have {most:,} values; at most {MOST_PLACES:,} columns are read.")
        parts += [pl.col(name).list.get(i).alias(f"{name}[{i}]") for i in range(most)]
    return frame.select(pl.exclude(*lists), *parts)


def name_places(name: str, there: Collection[str]) -> tuple[str, ...]:
    """The columns that were made of a list column; the name itself where there are none."""
    if name in there or f"{name}[0]" not in there:
        return (name,)
    return tuple(itertools.takewhile(there.__contains__, (f"{name}[{i}]" for i in itertools.count())))


def _as_lists(frame: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    arrays = [name for name, dtype in frame.collect_schema().items() if name in names and isinstance(dtype, pl.Array)]
    return frame.with_columns(pl.col(name).arr.to_list() for name in arrays) if arrays else frame


def _read_text_lists(frame: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """A column of texts such as [4, 17, 2] as lists; an empty text is no list."""
    text = pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name))
    odd = _find_rows(frame.select(text.alias("value")), ~pl.col("value").str.contains(_LIST))
    if odd.height:
        raise BadData(
            f"The column {name} must hold lists of numbers, such as [4, 17, 2]. {odd.height:,} rows hold another text: "
            f"{_name_rows(odd)}.",
            "Write the numbers in brackets with commas between them, or alone with spaces between them.",
        )
    return frame.with_columns(text.str.extract_all(_NUMBER).list.eval(pl.element().cast(pl.Float64)).alias(name))


def _find_rows(frame: pl.LazyFrame, wrong: pl.Expr) -> pl.DataFrame:
    return frame.with_row_index("row", offset=1).filter(wrong).collect(engine="streaming")


def _name_rows(rows: pl.DataFrame) -> str:
    shown = ", ".join(f"{row:,}" for row in rows["row"].head(MOST_SHOWN).to_list())
    return shown + (", …" if rows.height > MOST_SHOWN else "")


def _find_places(layout: ListLayout) -> list[pl.Expr]:
    """An expression for each place of a list column."""
    whole, size = pl.col(layout.column), pl.col(layout.column).list.len().cast(pl.Int64)
    kept = whole if layout.cut_side is None else whole.list.head(layout.length)
    if layout.cut_side == "left":
        kept = whole.list.tail(layout.length)
    shift = pl.max_horizontal(layout.length - size, 0) if layout.pad_side == "left" else pl.lit(0, dtype=pl.Int64)
    found = []
    for at, name in enumerate(layout.places):
        place = at - shift
        value = kept.list.get(pl.when(place >= 0).then(place), null_on_oob=True)
        inside = (place >= 0) & (place < size)
        found.append(pl.when(whole.is_null() | inside).then(value).otherwise(layout.pad).alias(name))
    return found


def _refuse_longer(frame: pl.LazyFrame, layout: ListLayout) -> None:
    longer = _find_rows(frame.select(size=pl.col(layout.column).list.len()), pl.col("size") > layout.length)
    if longer.height:
        most = max(longer["size"].to_list())
        raise BadData(
            f"The lists in {layout.column!r} have up to {most} values, and the model takes "
            f"{layout.length}. {longer.height:,} rows hold more: {_name_rows(longer)}.",
            "Cut them as the deployed program does; or say cut_side in the signature file when the model is adopted.",
        )
