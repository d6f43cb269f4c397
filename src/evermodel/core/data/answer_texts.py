"""Free-text answers beside reference answers: equal, or how many words they share.

Both are normalised as the SQuAD evaluation does: lower case, without punctuation, the articles a, an and the, and
more than one blank between words.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from evermodel.core.arrays import Array

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """The words of an answer, with one blank between them."""
    plain = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def match_answers(written: Sequence[str], reference: Sequence[str]) -> Array:
    """(n, 2): whether each written answer is its reference, 1 or 0, and the F1 of their words."""
    pairs = [(normalise_answer(one), normalise_answer(other)) for one, other in zip(written, reference, strict=True)]
    found = [(float(one == other), measure_word_f1(one.split(), other.split())) for one, other in pairs]
    return np.array(found, dtype=np.float64).reshape(len(found), 2)


def measure_word_f1(one: Sequence[str], other: Sequence[str]) -> float:
    """2 * shared / all words of two answers; 1 where neither has a word."""
    if not one and not other:
        return 1.0
    shared = sum((Counter(one) & Counter(other)).values())
    return 2.0 * shared / (len(one) + len(other))
