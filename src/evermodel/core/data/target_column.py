"""The target: which task it means, which classes it holds, and a label's code."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal

import polars as pl

from evermodel.core.data.scan import collect
from evermodel.core.data.task import Task
from evermodel.core.data.values import FALSE, TRUE, canonical_text, is_missing_text, number
from evermodel.core.errors import BadData, NoData

FEW = 50  # distinct whole numbers up to which a numeric target may be classes
MOST_CLASSES = 10_000
READABLE = 0.95


def learn_target(frame: pl.LazyFrame, name: str, task: Task | Literal["auto"]) -> tuple[Task, tuple[Any, ...]]:
    """The task and the sorted classes (empty for a regression or free text) that a target column implies.

    Two distinct values: binary. Fractions, over 50 distinct numbers, or whole numbers with wide gaps (counts):
    regression. Else multiclass. Raises NoData if no label is usable, BadData for one class or a task that cannot be.
    """
    dtype = frame.collect_schema()[name]
    if dtype == pl.Binary or (dtype.is_temporal() and not isinstance(dtype, pl.Duration)):
        raise BadData(f"The target {name!r} must hold labels or numbers. Got {dtype}.")
    if task == "text":
        if not collect(frame.select(read_answer(pl.col(name)).is_not_null().any())).item():
            raise NoData(f"The target {name!r} holds no answer in any row.")
        return task, ()
    distinct, numeric = _look(frame, name, dtype)
    if not distinct:
        raise NoData(f"The target {name!r} has no usable label.")
    found = _task(distinct, numeric) if task == "auto" else task
    if found == "regression":
        if not numeric:
            raise BadData(
                f"A regression needs numbers. The target {name!r} holds {distinct[0]!r}.", "Leave task at auto."
            )
        if len(distinct) == 1:
            raise BadData(f"The target {name!r} is {distinct[0]} in every row: there is nothing to learn.")
        return found, ()
    return found, _classes(distinct, found, name)


def _look(frame: pl.LazyFrame, name: str, dtype: pl.DataType) -> tuple[list[Any], bool]:
    """Distinct labels (at most 100,000 of them, sorted) and whether they are numbers."""
    column = pl.col(name)
    if dtype == pl.Boolean:
        return sorted(collect(frame.select(column.unique())).to_series().drop_nulls().to_list()), False
    text = canonical_text(column, dtype)
    labels = collect(frame.select(text.alias("x")).filter(~is_missing_text(pl.col("x"))).unique().head(100_000))
    if not labels.height:
        return [], False
    values = labels.select(number(pl.col("x"), pl.String()))["x"]
    values = values.filter(values.is_finite())
    if dtype.is_numeric() or len(values) >= READABLE * labels.height:
        return sorted({int(v) if v == int(v) else v for v in values.to_list()}), True
    words = labels["x"].to_list()
    lower = {w.lower() for w in words}
    if lower == {"true", "false"}:
        return [False, True], False
    if len({fold_label(w) for w in words}) < len(words):
        words = _choose_spellings(frame, text)
    return sorted(words), False


def _choose_spellings(frame: pl.LazyFrame, text: pl.Expr) -> list[str]:
    """One spelling of each label, the most frequent: Yes, yes and YES are one class."""
    counts = collect(frame.select(text.alias("x")).filter(~is_missing_text(pl.col("x"))).group_by("x").len())
    chosen: dict[str, str] = {}
    for word, _ in sorted(counts.iter_rows(), key=lambda pair: (-pair[1], pair[0])):
        chosen.setdefault(fold_label(word), word)
    return list(chosen.values())


def _task(distinct: list[Any], numeric: bool) -> Task:
    if len(distinct) <= 2:
        return "binary"
    if not numeric:
        return "multiclass"
    if len(distinct) > FEW or not all(isinstance(v, int) for v in distinct):
        return "regression"
    gaps = (distinct[-1] - distinct[0] + 1) / len(distinct)  # codes are numbered without gaps, counts are not
    return "multiclass" if gaps <= 1.5 else "regression"


def _classes(distinct: list[Any], task: Task, name: str) -> tuple[Any, ...]:
    if len(distinct) == 1:
        raise BadData(f"The target {name!r} has one class only ({distinct[0]!r}): there is nothing to learn.")
    if task == "binary" and len(distinct) > 2:
        shown = ", ".join(map(repr, distinct[:5]))
        raise BadData(
            f"A binary target has two classes. {name!r} has {len(distinct)}: {shown}, ….", "Leave task at auto."
        )
    if len(distinct) > MOST_CLASSES:
        raise BadData(
            f"The target {name!r} has {len(distinct):,} classes; at most {MOST_CLASSES:,} are learnt.",
            "Is it an identifier? Or numbers: the task 'regression'.",
        )
    return tuple(distinct)


def fold_label(label: Any) -> str:
    """A label without what may differ between two files: case, blanks, composed letters, 1.0 for 1.

    Labels are compared in this form, unless two of a model's own classes differ in nothing else.
    """
    text = " ".join(unicodedata.normalize("NFC", class_text(label)).lower().split())
    return text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text


def _fold(text: pl.Expr) -> pl.Expr:
    """``fold_label`` as an expression, for labels as text."""
    folded = text.str.normalize("NFC").str.to_lowercase().str.strip_chars().str.replace_all(r"\s+", " ")
    return folded.str.replace(r"^(-?\d+)\.0$", "${1}")


def read_label(column: pl.Expr, dtype: pl.DataType, classes: tuple[Any, ...]) -> pl.Expr:
    """A label as text: numbers in one spelling where the classes are numbers; null where it is missing."""
    text = canonical_text(column, dtype)
    if classes and {type(c) for c in classes} <= {int, float} and dtype == pl.String:
        numbers = canonical_text(number(text, pl.String()), pl.Float64())
        text = pl.coalesce(numbers, pl.when(text.str.to_lowercase().is_in((*TRUE, *FALSE))).then(text))
    known = [class_text(c) for c in classes]
    return pl.when(~is_missing_text(text) | text.is_in(known)).then(text)


def read_answer(column: pl.Expr) -> pl.Expr:
    """An answer of any words as it stands, whatever it says; null where there is none, or nothing but blanks."""
    text = column.cast(pl.String)
    return pl.when(text.str.strip_chars() != "").then(text)


def _find_truth(folded: list[str]) -> tuple[int, int] | None:
    """The places of the class that means no and of the one that means yes, of two classes; else None."""
    if len(folded) != 2:
        return None
    for no, yes in ((0, 1), (1, 0)):
        if folded[no] in FALSE and folded[yes] in TRUE:
            return no, yes
    return None


def class_text(label: Any) -> str:
    """The one spelling of a class: true, 1 for 1.0, words as they are."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label == int(label):
        return str(int(label))
    return str(label)


def class_code(column: pl.Expr, dtype: pl.DataType, classes: tuple[Any, ...]) -> pl.Expr:
    """A label's place among the classes as Int64; null for a missing or unknown one.

    Labels are compared as ``fold_label`` says: a spelling is never another class. True, "yes" and 1 are one label where
    the classes are 0 and 1, false and true, or no and yes.
    """
    text = read_label(column, dtype, classes)
    known, folded = [class_text(c) for c in classes], [fold_label(c) for c in classes]
    # not replace_strict: polars' streaming engine would hold all rows in memory for it
    if len(set(folded)) < len(folded):
        return text.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int64)
    own = _fold(text)
    code = own.cast(pl.Enum(folded), strict=False).to_physical().cast(pl.Int64)
    truth = _find_truth(folded)
    if truth is None:
        return code
    no, yes = truth
    told = pl.when(own.is_in(TRUE)).then(pl.lit(yes)).when(own.is_in(FALSE)).then(pl.lit(no)).otherwise(None)
    return pl.coalesce(code, told.cast(pl.Int64))
