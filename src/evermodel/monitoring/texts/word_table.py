"""A sketch of the words of the reference rows: how many texts hold a word, without the words themselves."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from evermodel.core.arrays import Array

# A word is a run of letters; of scripts that put no blanks between words, each letter is one.
_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD = rf"[{_ALONE}]|[[\p{{L}}\p{{M}}]--[{_ALONE}]]+"
DIMENSIONS = 128  # of the point that a word is given
SLOTS_A_WORD = 16  # two of them are a word's own: 1.4 % of unknown words look known
FEWEST_SLOTS, MOST_SLOTS = 1 << 12, 1 << 19


@dataclass(frozen=True)
class WordTable:
    """How many of ``n_texts`` texts hold a word: a count-min sketch of two slots a word, in powers of two."""

    n_texts: int
    slots: str  # base64 of zlib of (m,) bytes: 0, or one more than the logarithm of the number of texts

    @classmethod
    def build(cls, words: pl.Series, n_texts: int) -> WordTable:
        """The sketch of ``words``, in which a word stands once for each text that holds it. O(words)."""
        counts = words.alias("word").value_counts(name="n")
        wanted = 1 << int(np.ceil(np.log2(max(1, SLOTS_A_WORD * counts.height))))
        size = min(MOST_SLOTS, max(FEWEST_SLOTS, wanted))
        level = 1 + np.floor(np.log2(counts["n"].to_numpy())).astype(np.uint8)
        table = np.zeros(size, dtype=np.uint8)
        for at in _find_slots(hash_words(counts["word"]), size):
            np.maximum.at(table, at, level)
        return cls(n_texts, base64.b64encode(zlib.compress(table.tobytes(), 6)).decode())

    def weigh_words(self, hashes: Array) -> tuple[Array, Array]:
        """Of hashed words (n, 16): whether each is known (n,), and its weight, log of texts a text that holds it."""
        table = _read_slots(self.slots)
        level = np.minimum(*(table[at] for at in _find_slots(hashes, len(table)))).astype(np.float64)
        holding = np.where(level > 0, 2.0 ** (level - 1), 0.0)
        return level > 0, np.log((self.n_texts + 1.0) / (holding + 1.0))


@dataclass(frozen=True)
class WordsOfTexts:
    """The words of some texts: word ``words[i]`` of text ``rows[i]``; ``hashes`` (w, 16) of the distinct words."""

    n_texts: int
    rows: Array
    words: Array
    hashes: Array
    distinct: pl.Series  # (w,) the words themselves

    @property
    def points(self) -> Array:
        """(w, 128) of the distinct words: signs that hang on their hash alone, so that unlike words are unrelated."""
        return read_signs(self.hashes)


def read_signs(hashes: Array) -> Array:
    """(n, 128) of 1 and -1, the bits of hashes (n, 16)."""
    return np.asarray(2.0 * np.unpackbits(hashes, axis=1).astype(np.float32) - 1.0)


def split_words(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The words of texts in lower case, and the row (UInt32) of each. Texts without words have none."""
    found = (
        pl.DataFrame({"word": texts.str.to_lowercase().str.extract_all(WORD)})
        .with_row_index("row")
        .explode("word")
        .drop_nulls("word")
    )
    return found["word"], found["row"]


def hash_texts(texts: pl.Series) -> WordsOfTexts:
    """The words of texts, each distinct one hashed once. O(characters)."""
    words, rows = split_words(texts)
    distinct = words.unique(maintain_order=True).alias("word")
    places = distinct.to_frame().with_row_index("place")
    place = words.alias("word").to_frame().join(places, on="word", how="left", maintain_order="left")["place"]
    return WordsOfTexts(len(texts), rows.to_numpy(), place.to_numpy(), hash_words(distinct), distinct)


def hash_words(words: pl.Series) -> Array:
    """(n, 16) bytes. A hash that is the same in every release of every library: it is compared with stored ones."""
    digests = [hashlib.blake2b(word.encode(), digest_size=DIMENSIONS // 8).digest() for word in words.to_list()]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), DIMENSIONS // 8)


def _find_slots(hashes: Array, size: int) -> tuple[Array, Array]:
    numbers = np.ascontiguousarray(hashes[:, :8]).view("<u4").reshape(len(hashes), 2) & np.uint32(size - 1)
    return numbers[:, 0], numbers[:, 1]


@lru_cache(maxsize=8)
def _read_slots(slots: str) -> Array:
    return np.frombuffer(zlib.decompress(base64.b64decode(slots)), dtype=np.uint8)
