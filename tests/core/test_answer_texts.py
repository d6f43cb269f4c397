"""Answers beside reference answers, normalised as SQuAD's evaluation does."""

from __future__ import annotations

import pytest

from evermodel.core.data.answer_texts import match_answers, normalise_answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The  Cat!", "cat"),
        ("an apple, a day", "apple day"),
        ("theatre", "theatre"),
        ("It's 3.5 %", "its 35"),
        ("the", ""),
        ("Ä Ö\n", "ä ö"),
    ],
)
def test_case_punctuation_articles_and_blanks_do_not_count(text: str, words: str) -> None:
    assert normalise_answer(text) == words


@pytest.mark.parametrize(
    ("written", "reference", "equal", "f1"),
    [
        ("Denver Broncos", "the Denver Broncos.", 1.0, 1.0),
        ("Broncos", "Denver Broncos", 0.0, 2 / 3),
        ("b b", "b", 0.0, 2 / 3),  # a word that is written twice is shared once
        ("", "Denver", 0.0, 0.0),
        ("the", "a", 1.0, 1.0),  # neither has a word left
        ("", "", 1.0, 1.0),
    ],
)
def test_equal_answers_and_shared_words(written: str, reference: str, equal: float, f1: float) -> None:
    assert match_answers([written], [reference])[0].tolist() == pytest.approx([equal, f1])


def test_no_rows_are_no_scores() -> None:
    assert match_answers([], []).shape == (0, 2)
