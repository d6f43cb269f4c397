"""The lines over the hyperparameters: most trials of a search with racing are given up early, and still tell."""

from __future__ import annotations

from evermodel.core.records.search_record import Trial
from evermodel.reports.search_charts import coordinates

SPACE = {"rate": {"low": 0.001, "high": 1.0, "log": True}, "leaves": {"low": 7.0, "high": 255.0}, "kind": ["a", "b"]}


def trial(number: int, state: str, score: float) -> Trial:
    values = {"rate": 10.0**-number, "leaves": 7 + number, "kind": "ab"[number % 2]}
    return Trial(number, values, score, state)


def lines(trials: list[Trial]) -> tuple[int, int]:
    """In colour, and grey."""
    drawn = str(coordinates(trials, SPACE))
    return drawn.count("line challenger"), drawn.count("line neutral")


def test_those_given_up_early_are_drawn_and_never_in_colour():
    assert lines([trial(0, "whole", 0.5), *(trial(n, "stopped", 0.9) for n in range(1, 12))]) == (1, 11)
    assert lines([trial(n, "whole", n / 10) for n in range(10)]) == (2, 8)
    assert lines([trial(0, "whole", 0.5), trial(1, "failed", 0.0), *(trial(n, "stopped", 0.1) for n in (2, 3))]) == (
        1,
        2,
    )


def test_too_few_are_not_drawn():
    assert coordinates([trial(0, "whole", 0.5), trial(1, "stopped", 0.1), trial(2, "failed", 0.0)], SPACE) is None
    assert coordinates([trial(n, "whole", 0.5) for n in range(5)], {"rate": SPACE["rate"]}) is None


def test_the_ends_of_an_axis_are_written_short():
    drawn = str(coordinates([trial(n, "whole", n / 10) for n in range(5)], SPACE))
    assert ">255<" in drawn and ">0.001<" in drawn and ">a<" in drawn and "255.0" not in drawn
