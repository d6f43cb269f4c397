"""What changed of the texts of a column, as numbers and as a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.records.monitoring import TextAspect, TextChange
from evermodel.monitoring.texts.languages import NOT_TOLD
from evermodel.monitoring.texts.scripts_of_texts import ANOTHER, EMPTY, NO_LETTERS
from evermodel.monitoring.texts.text_counts import TextCounts
from evermodel.monitoring.texts.written_answers import ANSWERS

SHOWN = 3  # changes that a sentence names
RARE = 0.1  # of the reference rows' texts are as unlike the others as the texts that are counted
MUCH = 1.5  # times as long, from which the ratio is told
NEED_WORDS = (  # else null
    TextAspect.UNSEEN_WORDS,
    TextAspect.NOVELTY,
    TextAspect.TOPIC,
    TextAspect.MEANING,
    TextAspect.SURPRISE,
)
REFERENCE, FIRST_ANSWERS = "in the reference rows", "of the first answers watched"


# What each aspect is the share of, or the mean: a sum over the texts, and by what it is divided.
MEASURED: dict[TextAspect, Callable[[TextCounts], tuple[int, int]]] = {
    TextAspect.LENGTH: lambda of: (of.characters, of.texts),
    TextAspect.WORD_LENGTH: lambda of: (of.characters, of.words),
    TextAspect.UNSEEN_WORDS: lambda of: (of.unseen_words, of.words),
    TextAspect.REPEATS: lambda of: (of.repeated, of.texts),
    TextAspect.DIGITS: lambda of: (of.digits, of.characters),
    TextAspect.CAPITALS: lambda of: (of.capitals, of.characters),
    TextAspect.SIGNS: lambda of: (of.signs, of.characters),
    TextAspect.NOT_ASCII: lambda of: (of.not_ascii, of.characters),
    TextAspect.SURPRISE: lambda of: (of.bits, of.read_characters),
}


def find_aspect(name: str, text_columns: Mapping[str, object]) -> tuple[str, TextAspect] | None:
    """The text column that ``text.length`` describes, and what it says of it; None for any other column."""
    aspects = {str(a): a for a in TextAspect}
    for column in text_columns:
        aspect = aspects.get(name.removeprefix(f"{column}."))
        if name.startswith(f"{column}.") and aspect is not None:
            return column, aspect
    return None


def measure_change(
    column: str, aspect: TextAspect, now: TextCounts, before: TextCounts, bins: Array, reference: Array
) -> TextChange:
    """The figures of one aspect of the newest texts and of the reference rows' texts.

    ``bins`` and ``reference`` (K,): the column's own counts of both, which topics and novelty are told by.
    """
    if aspect in (TextAspect.SCRIPT, TextAspect.LANGUAGE):
        of_now, of_before = ((of.scripts if aspect is TextAspect.SCRIPT else of.languages) for of in (now, before))
        shares = {s: (_share(n, now.texts), _share(of_before.get(s, 0), before.texts)) for s, n in of_now.items()}
        grown = max(shares, key=lambda s: shares[s][0] - shares[s][1], default="")
        share, formerly = shares.get(grown, (0.0, 0.0))
        return TextChange(column, aspect, share, formerly, grown)
    if aspect in (TextAspect.TOPIC, TextAspect.NOVELTY, TextAspect.MEANING):
        return TextChange(column, aspect, *_compare_bins(aspect, bins, reference))
    return TextChange(column, aspect, measure_aspect(aspect, now), measure_aspect(aspect, before))


def measure_aspect(aspect: TextAspect, of: TextCounts) -> float:
    """Characters a text, characters a word, or the share that the aspect is about; 0 where there are none."""
    return _share(*MEASURED[aspect](of))


def share_of_baseline(counts: Sequence[float]) -> float:
    """The share of the first of two counts that were each enlarged by a half, so that none is 0."""
    return max(0.0, counts[0] - 0.5) / max(1.0, sum(counts) - 1.0)


def _share(n: int, of: int) -> float:
    return n / of if of else 0.0


def _compare_bins(aspect: TextAspect, bins: Array, reference: Array) -> tuple[float, float]:
    """Of topics, the one that grew most; of novelty, the bins that hold the most unlike tenth of the reference rows."""
    now, before = (np.asarray(x, dtype=np.float64) / max(1e-9, float(np.sum(x))) for x in (bins, reference))
    if aspect is TextAspect.TOPIC:
        grown = int((now - before).argmax())
        return float(now[grown]), float(before[grown])
    from_top = np.cumsum(before[::-1])
    first = len(before) - 1 - int(np.searchsorted(from_top, RARE - 1e-9))
    return float(now[first:].sum()), float(before[first:].sum())


def describe_changes(changes: Sequence[TextChange]) -> str:
    """``the texts of question changed: 31.2% of them are …``, without a full stop; columns one after another."""
    columns = dict.fromkeys(c.column for c in changes)
    return "; ".join(_describe_column(column, [c for c in changes if c.column == column]) for column in columns)


def _describe_column(column: str, changes: Sequence[TextChange]) -> str:
    told = sorted(changes, key=_size, reverse=True)
    more = f"; {len(told) - SHOWN} more of their measures changed" if len(told) > SHOWN else ""
    what = "the model's answers" if column == ANSWERS else f"the texts of {column}"
    return f"{what} changed: {'; '.join(_SENTENCES[c.aspect](c) for c in told[:SHOWN])}{more}"


def _size(c: TextChange) -> float:
    """How large a change is, in units that shares and lengths have in common: Cohen's h, and the log of a ratio."""
    if c.aspect in (TextAspect.LENGTH, TextAspect.WORD_LENGTH, TextAspect.SURPRISE):
        return abs(math.log(max(c.now, 0.1) / max(c.before, 0.1)))
    return 2.0 * abs(math.asin(min(1.0, c.now) ** 0.5) - math.asin(min(1.0, c.before) ** 0.5))


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _before(share: float, where: str = REFERENCE) -> str:
    return f"(none {where})" if share == 0 else f"({_percent(share)} {where})"


def _script(c: TextChange) -> str:
    lacks = {EMPTY: "are empty", NO_LETTERS: "hold no letters", ANOTHER: "are in another script"}
    return f"{_percent(c.now)} {lacks.get(c.detail, f'are in {c.detail} script')} {_before(c.before)}"


def _language(c: TextChange) -> str:
    if c.detail == NOT_TOLD:
        return f"the language of {_percent(c.now)} cannot be told {_before(c.before)}"
    return f"{_percent(c.now)} are in {c.detail} {_before(c.before)}"


def _length(c: TextChange) -> str:
    now, before = f"{c.now:.0f}", f"{c.before:.0f}"
    if now == before:
        return f"their lengths are distributed differently, with {now} characters on average as {REFERENCE}"
    if c.before > 0 and c.now >= MUCH * c.before:
        return f"they are {c.now / c.before:.1f} times as long, with {now} characters on average ({before} {REFERENCE})"
    return f"they have {now} characters on average ({before} {REFERENCE})"


def _characters(what: str) -> Callable[[TextChange], str]:
    def describe(c: TextChange) -> str:
        if _percent(c.now) == _percent(c.before):
            return f"{what} are distributed differently, with {_percent(c.now)} of the characters as {REFERENCE}"
        return f"{what} are {_percent(c.now)} of their characters {_before(c.before)}"

    return describe


_SENTENCES: dict[TextAspect, Callable[[TextChange], str]] = {
    TextAspect.MISSING: lambda c: f"{_percent(c.now)} are missing {_before(c.before)}",
    TextAspect.SCRIPT: _script,
    TextAspect.LANGUAGE: _language,
    TextAspect.UNSEEN_WORDS: lambda c: f"{_percent(c.now)} of their words were never seen {_before(c.before)}",
    TextAspect.REPEATS: lambda c: (
        f"{_percent(c.now)} repeat one of the hundred texts before them, digits aside "
        f"{_before(c.before, 'of the first texts watched')}"
    ),
    TextAspect.LENGTH: _length,
    TextAspect.NOVELTY: lambda c: (
        f"{_percent(c.now)} are as unlike the reference rows' texts as {_percent(c.before)} of those are"
    ),
    TextAspect.MEANING: lambda c: (
        f"to the model {_percent(c.now)} are as unlike the reference rows' texts as {_percent(c.before)} of those are"
    ),
    TextAspect.TOPIC: lambda c: f"a group of similar texts is {_percent(c.now)} of them {_before(c.before)}",
    TextAspect.WORD_LENGTH: lambda c: (
        f"there are {c.now:.1f} characters to a word on average ({c.before:.1f} {REFERENCE})"
    ),
    TextAspect.DIGITS: _characters("digits"),
    TextAspect.CAPITALS: _characters("capital letters"),
    TextAspect.SIGNS: _characters("punctuation and signs"),
    TextAspect.SURPRISE: lambda c: (
        f"the model's network finds them less likely: {c.now:.2f} bits a character ({c.before:.2f} {REFERENCE})"
        if c.now > c.before
        else f"the model's network finds them likelier: {c.now:.2f} bits a character ({c.before:.2f} {REFERENCE})"
    ),
    TextAspect.EMPTY: lambda c: f"{_percent(c.now)} are empty {_before(c.before, FIRST_ANSWERS)}",
    TextAspect.REFUSALS: lambda c: f"{_percent(c.now)} refuse {_before(c.before, FIRST_ANSWERS)}",
    TextAspect.LOOPS: lambda c: (
        f"{_percent(c.now)} say the same phrases again and again {_before(c.before, FIRST_ANSWERS)}"
    ),
    TextAspect.NOT_ASCII: _characters("characters beyond ASCII"),
}
