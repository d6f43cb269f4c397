"""Sums over the texts of a window, by which an alarm says in words what changed. They add up, in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import polars as pl

from evermodel.core.arrays import Array


@dataclass(frozen=True)
class TextCounts:
    """Texts and their words and characters, counted; ``scripts`` and ``languages`` map each to its texts."""

    texts: int = 0
    characters: int = 0
    words: int = 0
    unseen_words: int = 0  # that the reference rows do not hold
    repeated: int = 0  # texts that equal one of the hundred before them, whatever digits they hold
    digits: int = 0  # characters, as the next three
    capitals: int = 0
    signs: int = 0
    not_ascii: int = 0
    bits: int = 0  # that the model's network needs for the texts that it read, and the characters of those
    read_characters: int = 0
    scripts: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: TextCounts) -> TextCounts:
        names = [f.name for f in fields(self) if f.name not in ("scripts", "languages")]
        scripts, languages = (
            {k: a.get(k, 0) + b.get(k, 0) for k in sorted({*a, *b})}
            for a, b in ((self.scripts, other.scripts), (self.languages, other.languages))
        )
        sums = {n: getattr(self, n) + getattr(other, n) for n in names}
        return TextCounts(**sums, scripts=scripts, languages=languages)


def sum_texts(
    described: pl.DataFrame, column: str, words: Array, repeated: Array, groups: Array, n_groups: int
) -> list[TextCounts]:
    """The sums of each group of rows. ``described`` holds the columns that describe the texts of ``column``.

    ``words`` (n, 2): words of each text, and those that are unseen; ``repeated`` (n,) is a bool.
    """
    characters = np.round(np.expm1(described[f"{column}.length"].to_numpy()))
    present = np.isfinite(characters)
    long = np.where(present, characters, 0.0)
    name = f"{column}.surprise"
    surprise = described[name].to_numpy() if name in described.columns else np.full(len(long), np.nan)
    read = np.isfinite(surprise)
    shares = {n: described[f"{column}.{n}"].to_numpy() for n in ("digits", "capitals", "signs", "not ASCII")}
    sums = {
        "texts": present,
        "characters": long,
        "words": words[:, 0],
        "unseen_words": words[:, 1],
        "repeated": repeated,
        "bits": np.where(read, np.nan_to_num(surprise) * long, 0.0),
        "read_characters": np.where(read, long, 0.0),
        **{n.replace(" ", "_").lower(): np.round(np.nan_to_num(s) * long) for n, s in shares.items()},
    }
    added = {n: np.round(np.bincount(groups, weights=v, minlength=n_groups)).astype(int) for n, v in sums.items()}
    found = []
    for group in range(n_groups):
        own = described.filter(pl.Series(groups == group)) if n_groups > 1 else described
        scripts, languages = (_count_values(own[f"{column}.{what}"]) for what in ("script", "language"))
        found.append(TextCounts(**{n: int(v[group]) for n, v in added.items()}, scripts=scripts, languages=languages))
    return found


def _count_values(values: pl.Series) -> dict[str, int]:
    table = values.drop_nulls().alias("value").value_counts(name="n").sort("value")
    return dict(zip(table["value"].to_list(), table["n"].to_list(), strict=True))
