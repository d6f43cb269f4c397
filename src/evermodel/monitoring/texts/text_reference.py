"""What a monitor keeps of the reference rows' texts, and how the texts of new rows are measured against it.

What is learnt, words and topics, is learnt from half of the rows, drawn at random, and counted in the other half:
these have words that the first half does not have, just as new rows do, so that both can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.monitoring.texts.languages import find_languages
from evermodel.monitoring.texts.scripts_of_texts import find_scripts
from evermodel.monitoring.texts.text_counts import TextCounts, sum_texts
from evermodel.monitoring.texts.topics import Topics, embed_texts
from evermodel.monitoring.texts.word_table import WordsOfTexts, WordTable, hash_texts, split_words

FEWEST = 40  # reference texts below which nothing is learnt of them
NEAR = 100  # texts before one among which it may be repeated
CHARACTERS_A_PART = 4_000_000  # whose words are held at once
CHARACTERS_A_POINT = 100  # that weigh as much in memory as the point of a text
LEARNT = ("script", "language", "unseen words", "novelty", "topic")  # of each text, measured against the reference


@dataclass(frozen=True)
class TextReference:
    """The texts of one column in the reference rows: sketches and sums, from which no text can be read."""

    words: WordTable
    topics: Topics | None
    counts: TextCounts = field(default_factory=TextCounts)  # of the half that is compared with


@dataclass(frozen=True)
class MeasuredTexts:
    """Texts measured against a reference: columns for the monitor, and sums for people."""

    columns: pl.DataFrame  # "COLUMN.script", "COLUMN.unseen words", …
    words: Array  # (n, 2): words of each text, and those that are unseen


def learn_texts(frame: pl.DataFrame, column: str) -> tuple[TextReference, pl.DataFrame] | None:
    """The reference of described rows, oldest first, and the measured columns of the half that was not learnt from.

    None for too few texts.
    """
    texts = frame[column]
    if len(texts) - texts.null_count() < FEWEST:
        return None
    learnt = np.random.default_rng(0).random(len(texts)) < 0.5
    half, rest = frame.filter(pl.Series(learnt)), frame.filter(pl.Series(~learnt))
    words, rows = split_words(half[column])
    once = pl.DataFrame({"word": words, "row": rows}).unique()
    table = WordTable.build(once["word"], half.height)
    points = [embed_texts(part, table.weigh_words(part.hashes)[1]) for part in _hash_in_parts(half[column])]
    reference = TextReference(table, Topics.find(np.concatenate(points)))
    measured = measure_texts(rest[column], reference)
    none = np.zeros(rest.height, dtype=bool)
    described = rest.hstack(measured.columns)
    counts = sum_texts(described, column, measured.words, none, np.zeros(rest.height, dtype=np.int64), 1)[0]
    return TextReference(table, reference.topics, counts), measured.columns


def measure_texts(texts: pl.Series, reference: TextReference) -> MeasuredTexts:
    """The columns of ``LEARNT`` for each text; null where it is missing or has no words. O(characters)."""
    counts, languages, distance, group = [], [], [], []
    for part in _hash_in_parts(texts):
        known, weights = reference.words.weigh_words(part.hashes)
        n = np.bincount(part.rows, minlength=part.n_texts)
        counts.append(np.column_stack([n, np.bincount(part.rows[~known[part.words]], minlength=part.n_texts)]))
        languages.append(find_languages(part))
        if reference.topics is not None:
            away, of = reference.topics.locate_texts(embed_texts(part, weights))
            distance.append(away)
            group.append(of)
    words, missing = np.concatenate(counts), texts.is_null()
    share = np.where(words[:, 0] > 0, words[:, 1] / np.maximum(words[:, 0], 1), np.nan)
    columns = [
        find_scripts(texts).alias(f"{texts.name}.script"),
        pl.concat(languages).set(missing, None).alias(f"{texts.name}.language"),
        pl.Series(f"{texts.name}.unseen words", share).fill_nan(None),
    ]
    if group:
        topic = pl.Series(f"{texts.name}.topic", np.concatenate(group)).cast(pl.String)
        columns += [
            pl.Series(f"{texts.name}.novelty", np.concatenate(distance)).fill_nan(None),
            topic.replace("-1", "no words").set(missing, None),
        ]
    return MeasuredTexts(pl.DataFrame(columns), words)


def find_repeated(texts: pl.Series, before: tuple[int, ...]) -> tuple[Array, tuple[int, ...]]:
    """(n,) whether a text equals one of the ``NEAR`` before it, digits and blanks aside; and the hashes of the newest.

    ``before``: hashes of the texts that came before these, oldest first. Texts without a character are none.
    """
    plain = texts.str.to_lowercase().str.replace_all(r"\p{Nd}+", "0").str.replace_all(r"\s+", " ").str.strip_chars()
    usable = (plain.is_not_null() & (plain != "")).fill_null(False)
    hashes = (plain.filter(usable).hash(seed=0).to_numpy() % 2**32).astype(np.int64)
    all_of = np.concatenate([np.asarray(before, dtype=np.int64), hashes])
    order = np.argsort(all_of, kind="stable")
    again = np.zeros(len(all_of), dtype=bool)
    close = np.diff(order) <= NEAR
    again[order[1:]] = close & (np.diff(all_of[order]) == 0)
    repeated = np.zeros(len(texts), dtype=bool)
    repeated[usable.to_numpy()] = again[len(before) :]
    return repeated, tuple(all_of[-NEAR:].tolist())


def _hash_in_parts(texts: pl.Series) -> list[WordsOfTexts]:
    """The texts in parts of some million characters, so that their words fit into memory."""
    size = texts.str.len_chars().fill_null(0) + CHARACTERS_A_POINT
    ends = size.cum_sum().to_numpy() // CHARACTERS_A_PART
    starts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(texts)]
    return [hash_texts(texts[a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)]
