"""Names of columns that differ in spelling only: case, blanks, punctuation, composed letters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


def fold_name(name: str) -> str:
    """A name without case, blanks and punctuation; a word's parts run together (camelCase too)."""
    composed = unicodedata.normalize("NFC", name).casefold()
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", composed))


def match_names(missing: Sequence[str], there: Sequence[str]) -> dict[str, str]:
    """Missing name -> the name that is there and folds alike, where there is exactly one on either side."""
    found = {}
    for name in missing:
        folded = fold_name(name)
        like = [n for n in there if fold_name(n) == folded and folded]
        rivals = [n for n in missing if fold_name(n) == folded]
        if len(like) == 1 and len(rivals) == 1:
            found[name] = like[0]
    return found
