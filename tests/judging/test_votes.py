"""Votes of people on two models' answers: how they are read, and what they decide."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.errors import BadData, NoData
from evermodel.core.records.verdict import Finding, ReasonCode
from evermodel.judging.judge import judge
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.judging.judge_request import JudgePolicy
from evermodel.judging.verdict_wording import describe_reason
from evermodel.plugins.gates.votes import votes
from evermodel.updating.verdicts.vote_rows import read_votes


def table(*winners: str | None, prompts: Any = None) -> pl.DataFrame:
    return pl.DataFrame({"prompt": prompts or range(len(winners)), "winner": winners})


def text_input() -> JudgeInput:
    """A challenger that is better by the loss of a token, and equal by its words."""
    tokens = np.full(60, 5.0)
    champion, challenger = (np.column_stack([tokens * loss, np.ones(60), np.ones(60)]) for loss in (2.0, 1.0))
    champion[:, 0] += np.random.default_rng(0).random(60)
    return JudgeInput("text", "token_loss", PairedPredictions(tokens, champion, challenger), guard="token_f1")


def test_a_vote_names_a_version_a_model_or_a_tie() -> None:
    cast = read_votes(table("v2", "v3", "tie", "Champion", "challenger", None, " V3 "), "v2", "v3")
    assert (cast.for_champion, cast.for_challenger, cast.ties, cast.n) == (2, 3, 1, 6)


def test_several_votes_on_one_prompt_are_one() -> None:
    cast = read_votes(table("v3", "v3", "v2", "v2", "v3", prompts=["a", "a", "a", "b", "b"]), "v2", "v3")
    assert (cast.for_champion, cast.for_challenger, cast.ties) == (0, 1, 1)


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        (pl.DataFrame({"vote": ["v2"]}), BadData, "need the column 'winner'"),
        (table("v2", "v1"), BadData, r"must name v2 \(the champion\), v3 .* Got 'v1'"),
        (table(None, None), NoData, "no vote in any row"),
    ],
)
def test_other_rows_are_refused(rows: pl.DataFrame, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        read_votes(rows, "v2", "v3")


@pytest.mark.parametrize(
    ("won", "lost", "finding"),
    [(3, 15, Finding.FAIL), (5, 15, Finding.FAIL), (6, 15, Finding.PASS), (0, 5, Finding.PASS), (15, 3, Finding.PASS)],
)
def test_the_sign_test_decides(won: int, lost: int, finding: Finding) -> None:
    # two-sided p of 5 against 15 is 0.041, of 6 against 15 0.078, of 0 against 5 0.0625
    cast = read_votes(table(*["v3"] * won, *["v2"] * lost, *["tie"] * 4), "v2", "v3")
    reason = votes(dataclasses.replace(text_input(), votes=cast))
    assert reason.finding is finding and reason.votes is not None
    counted = reason.votes
    assert counted.low < (won - lost) / counted.n < counted.high
    assert f"{lost} votes for the champion, {won} for the challenger, 4 ties" in describe_reason(reason)
    assert f"p {counted.p_value:.2g}, sign test" in describe_reason(reason)


def test_votes_stop_a_challenger_that_is_better_by_its_loss() -> None:
    asked = text_input()
    assert judge(asked, policy=JudgePolicy.BETTER).decision == "promote"
    cast = read_votes(table(*["v2"] * 20, *["v3"] * 3), "v2", "v3")
    verdict = judge(dataclasses.replace(asked, votes=cast), policy=JudgePolicy.BETTER)
    assert verdict.decision == "reject" and verdict.stopped_by == ("votes",)
    assert any(reason.code is ReasonCode.VOTES_SHOWN_WORSE for reason in verdict.reasons)
