"""What can be told of answers that a model wrote without a label: empty ones, refusals, and phrases said again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import polars as pl

from evermodel.core.records.monitoring import TextAspect

ANSWERS = "answers"  # the name under which they are watched
CHARACTERS = "__characters"  # of an answer; null where none was written
KINDS = {TextAspect.EMPTY: "__empty", TextAspect.REFUSALS: "__refusal", TextAspect.LOOPS: "__loop"}
BEGINNING = 200  # characters in which a refusal is looked for: later ones are part of an answer
PHRASE = 4  # words
OFTEN = 0.5  # of an answer's phrases were said before in it: then it runs in circles
FEWEST_PHRASES = 8  # below which an answer is too short to run in circles
# How assistants decline, in lower case and with straight quotes; after an apology or alone.
_DECLINED = (
    r"\b(?:i|we)(?:'m| am| are|'re) (?:unable|not able|not allowed|not permitted)\b"
    r"|\b(?:sorry|afraid|apologi[sz]e)\b[^.!?\n]{0,40}\b(?:can't|cannot|can not|won't|not able|unable)\b"
    r"|\b(?:i|we) (?:can't|cannot|can not|won't|will not|must not|mustn't|am going to have to decline)\b"
    r"[^.!?\n]{0,60}\b(?:help|assist|provide|answer|do that|do this|comply|fulfil|fulfill|support|discuss|create"
    r"|generate|write|share|give)\b"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\b(?:i|we) (?:have to|must) (?:decline|refuse)\b"
    r"|\bi (?:don't|do not) have (?:access|the ability|enough information)\b"
    r"|\b(?:es tut mir leid|ich kann (?:dir|ihnen) (?:dabei |damit )?nicht|als ki\b|als (?:ein )?sprachmodell)"
    r"|\b(?:je suis désolée?|je ne peux pas|en tant qu'(?:ia\b|intelligence artificielle|assistant))"
    r"|\b(?:lo siento|no puedo (?:ayudar|proporcionar|responder)|como (?:modelo de lenguaje|una? ia\b))"
    r"|(?:抱歉|对不起|我无法|我不能|作为一个(?:人工智能|语言模型|ai))"
)


@dataclass(frozen=True)
class AnswerCounts:
    """The written answers of a window, counted. They add up."""

    answers: int = 0
    characters: int = 0
    empty: int = 0
    refusals: int = 0
    loops: int = 0  # answers that run in circles

    def __add__(self, other: AnswerCounts) -> AnswerCounts:
        return AnswerCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def count(self, aspect: TextAspect) -> tuple[int, int]:
        """Answers of which it is true, and the others."""
        n = {TextAspect.EMPTY: self.empty, TextAspect.REFUSALS: self.refusals, TextAspect.LOOPS: self.loops}[aspect]
        return n, self.answers - n


def describe_answers(answers: pl.Series) -> list[pl.Series]:
    """The columns CHARACTERS and those of ``KINDS``, by which ``sum_answers`` counts; null where there is no answer."""
    plain = answers.str.to_lowercase().str.replace_all("[\u2018\u2019]", "'")
    empty = ~answers.str.contains(r"\S")
    refusal = plain.str.slice(0, BEGINNING).str.contains(_DECLINED)
    loop = pl.Series([None if a is None else _runs_in_circles(a) for a in plain.to_list()], dtype=pl.Boolean)
    told = zip(KINDS.values(), (empty, refusal, loop), strict=True)
    return [answers.str.len_chars().alias(CHARACTERS), *(values.alias(name) for name, values in told)]


def _runs_in_circles(answer: str) -> bool:
    """Whether most phrases of four words were said before in it. Source: Welleck et al. (2020), seq-rep-4."""
    words = answer.split()
    phrases = Counter(zip(*(words[i:] for i in range(PHRASE)), strict=False))
    said = sum(phrases.values())
    return said >= FEWEST_PHRASES and 1.0 - len(phrases) / said > OFTEN


def sum_answers(rows: pl.DataFrame) -> AnswerCounts:
    """The sums of rows with the columns of ``describe_answers``; none where they have no answers."""
    if CHARACTERS not in rows.columns:
        return AnswerCounts()
    written = rows.filter(pl.col(CHARACTERS).is_not_null())
    sums = (int(written[name].sum()) for name in (CHARACTERS, *KINDS.values()))
    return AnswerCounts(written.height, *sums)
