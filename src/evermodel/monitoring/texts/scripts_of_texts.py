"""The script in which most letters of a text are written."""

from __future__ import annotations

import numpy as np
import polars as pl

from evermodel.core.arrays import Array

LATIN, NO_LETTERS, EMPTY, ANOTHER = "Latin", "no letters", "empty", "another script"
# Unicode's own names, where people call a script so; several make one language's writing.
SCRIPTS = {
    LATIN: r"\p{Latin}",
    "Cyrillic": r"\p{Cyrillic}",
    "Greek": r"\p{Greek}",
    "Arabic": r"\p{Arabic}",
    "Hebrew": r"\p{Hebrew}",
    "Devanagari": r"\p{Devanagari}",
    "Bengali": r"\p{Bengali}",
    "Tamil": r"\p{Tamil}",
    "Thai": r"\p{Thai}",
    "Hangul": r"\p{Hangul}",
    "kana": r"[\p{Hiragana}\p{Katakana}]",
    "Han": r"\p{Han}",
}
JAPANESE, KANA = "Japanese", "kana"


def find_scripts(texts: pl.Series) -> pl.Series:
    """The script of each text: a name of ``SCRIPTS``, "Japanese", or what the text lacks; null where it is missing."""
    text = pl.col("text")
    found = pl.DataFrame({"text": texts}).select(
        ascii=text.str.contains(r"^[\x00-\x7F]*$"),
        letters=text.str.contains(r"\p{L}"),
        empty=~text.str.contains(r"\S"),
    )
    names = pl.Series([LATIN], dtype=pl.String).new_from_index(0, len(texts)).alias("script")
    other = ~found["ascii"].fill_null(True) & found["letters"].fill_null(False)
    if other.any():
        names = names.scatter(other.arg_true(), _find_most_used(texts.filter(other)))
    return (
        pl.DataFrame({"script": names})
        .hstack(found)
        .select(
            pl.when(pl.col("empty"))
            .then(pl.lit(EMPTY))
            .when(~pl.col("letters"))
            .then(pl.lit(NO_LETTERS))
            .when(pl.col("letters"))
            .then(pl.col("script"))
            .alias("script")
        )
        .to_series()
    )


def _find_most_used(texts: pl.Series) -> pl.Series:
    text = pl.col("text")
    counted = pl.DataFrame({"text": texts}).select(
        [text.str.count_matches(pattern).alias(name) for name, pattern in SCRIPTS.items()]
    )
    n: Array = counted.to_numpy(writable=True)
    names = [*(JAPANESE if name == KANA else name for name in SCRIPTS), ANOTHER]
    kana, han = (list(SCRIPTS).index(s) for s in (KANA, "Han"))
    n[:, kana] += np.where(n[:, kana] > 0, n[:, han] + 1, 0)  # Japanese is written with both
    most = np.where(n.max(axis=1) > 0, n.argmax(axis=1), len(names) - 1)
    return pl.Series(names).gather(most)
