"""Votes of people who saw both models' answers to the same prompts, read from rows of a prompt and a winner."""

from __future__ import annotations

from typing import Any

import polars as pl

from evermodel.core.data.scan import collect, scan
from evermodel.core.errors import BadData, NoData
from evermodel.core.records.verdict import VoteCount

PROMPT, WINNER, TIE = "prompt", "winner", "tie"
MOST_SHOWN = 5


def read_votes(data: Any, champion: str, challenger: str) -> VoteCount:
    """Counts one vote a prompt, for the model that most of its voters preferred; a tie where they are even.

    ``winner`` names a version, "champion", "challenger" or "tie". Rows without a column ``prompt`` are votes on as many
    prompts. Raises BadData for another winner, NoData without votes.
    """
    frame = collect(scan(data))
    if WINNER not in frame.columns:
        raise BadData(
            f"Votes need the column {WINNER!r}. There is: {', '.join(frame.columns[:12])}.",
            f"Write a row a vote, with the prompt and the winner: {champion}, {challenger} or {TIE}.",
        )
    said = frame[WINNER].cast(pl.String).str.strip_chars()
    value = said.str.to_lowercase().replace_strict(
        {challenger.lower(): 1.0, "challenger": 1.0, champion.lower(): 0.0, "champion": 0.0, TIE: 0.5},
        default=None,
        return_dtype=pl.Float64,
    )
    unknown = said.filter(value.is_null() & said.is_not_null()).unique().sort().to_list()
    if unknown:
        shown = ", ".join(map(repr, unknown[:MOST_SHOWN])) + (", …" if len(unknown) > MOST_SHOWN else "")
        raise BadData(
            f"A vote must name {champion} (the champion), {challenger} (the challenger) or {TIE}. Got {shown}.",
            "Votes on other versions belong to another comparison.",
        )
    by = frame[PROMPT] if PROMPT in frame.columns else pl.Series(PROMPT, range(frame.height))
    cast = pl.DataFrame({PROMPT: by, "vote": value}).drop_nulls("vote")
    if not cast.height:
        raise NoData("There is no vote in any row.", f"Name the winner: {champion}, {challenger} or {TIE}.")
    means = cast.group_by(PROMPT, maintain_order=True).agg(pl.col("vote").mean())["vote"].to_numpy()
    won, lost = int((means > 0.5).sum()), int((means < 0.5).sum())
    return VoteCount(won, lost, len(means) - won - lost)
