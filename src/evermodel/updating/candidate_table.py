"""The table of candidates in every result: doing nothing, recalibrating only, and each model that was trained."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import EvermodelError
from evermodel.core.model.strategy import Context
from evermodel.core.records.update_record import Candidate
from evermodel.core.records.verdict import Decision
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.verdict_wording import describe_comparison
from evermodel.updating.stages import JudgedProposal, Proposal
from evermodel.updating.trained_candidate import metric_score
from evermodel.updating.verdicts.pairing import predict_last_seen

MOST_RECALIBRATED = 100_000  # newest rows that a recalibration is fitted to; two numbers are learnt from them


@dataclass(frozen=True)
class CandidateTable:
    """``advice``: what else the rows show, where the challenger does not go into service."""

    candidates: tuple[Candidate, ...]
    advice: tuple[str, ...] = ()


def list_candidates(judged: JudgedProposal, metric: str, context: Context) -> CandidateTable:
    """Doing nothing, recalibrating only, "the last value seen" and each trained model, scored on the same rows.

    The rows are those that chose among several candidates, else all judged rows. A time series without entities has the
    row "last value seen": each row's label as the prediction of the next.
    """
    proposal = judged.proposal
    update_input = proposal.update_input
    rows = update_input.judged_rows if proposal.choosing is None else update_input.judged_rows.rows(proposal.choosing)
    y, scores = proposal.candidate.model.target(rows), judged.scores.new
    same_rows = proposal.choosing is None and proposal.confirming is None  # then their predictions are there already
    champion = scores.champion if same_rows else update_input.champion.answer_rows(rows)
    do_nothing = metric_score(metric, y, champion)
    table, of_text = [Candidate("none", {}, do_nothing, 0.0)], update_input.champion.contract.task == "text"
    advice: tuple[str, ...] = ()
    if not of_text:  # a text has no probability to be recalibrated, and the last one answers another prompt
        recalibrated, predictions = _recalibrate(proposal, rows, y, metric, context)
        table.append(recalibrated)
        if same_rows and predictions is not None and judged.verdict.decision in (Decision.REJECT, Decision.HOLD):
            advice = _advise_recalibration(judged, predictions)
    if not of_text and not update_input.card.shuffled and update_input.new.roles.entity is None and len(y) > 1:
        p = predict_last_seen(proposal.candidate.model, rows)
        note = "each row's label must be known before the next row comes"
        table.append(Candidate("last value seen", {}, metric_score(metric, y[1:], p), 0.0, note=note))
    for candidate in proposal.listed or (proposal.candidate,):
        is_judged = same_rows and candidate is proposal.candidate
        score = metric_score(metric, y, scores.challenger if is_judged else candidate.model.answer_rows(rows))
        if candidate is proposal.candidate:
            table.append(Candidate(proposal.strategy, proposal.settings, score, candidate.seconds, chosen=True))
        else:
            table.append(Candidate(candidate.recipe.strategy, candidate.recipe.settings, score, candidate.seconds))
    return CandidateTable(tuple(table), advice)


def _advise_recalibration(judged: JudgedProposal, predictions: Array) -> tuple[str, ...]:
    """A sentence where recalibrating the champion alone gains beyond doubt, and more than the challenger did.

    So it is where the level of the columns or of the answers moved: the champion still puts the rows in order, and a
    training on both levels may lose that.
    """
    scores, champion = judged.scores, judged.proposal.update_input.card.version
    if judged.proposal.strategy == "recalibrate":
        return ()
    c = compare_predictions(scores.metric, dataclasses.replace(scores.new, challenger=predictions), seed=scores.seed)
    by_challenger = metric_score(scores.metric, scores.new.y, scores.new.challenger)
    gained = by_challenger - c.champion if c.higher_is_better else c.champion - by_challenger
    if not (c.gain_low > 0.0 and c.gain > gained):
        return ()
    return (
        f"Recalibrating {champion} alone does better: {describe_comparison(c)}. Update once more on these rows with "
        "the strategy recalibrate.",
    )


def _recalibrate(
    proposal: Proposal, rows: Table, y: Array, metric: str, context: Context
) -> tuple[Candidate, Array | None]:
    """The champion with its output recalibrated on the new rows, and what it predicts; where it cannot be, why not."""
    update_input, began = proposal.update_input, time.monotonic()
    try:
        split = update_input.split()
        newest = split.new_rows.rows(np.arange(max(0, len(split.new_rows) - MOST_RECALIBRATED), len(split.new_rows)))
        model = context.run_strategy(
            "recalibrate", [update_input.champion], dataclasses.replace(split, new_rows=newest)
        )
        predictions = model.answer_rows(rows)
        score = metric_score(metric, y, predictions)
        return Candidate("recalibrate", {}, score, time.monotonic() - began), predictions
    except EvermodelError as error:
        return Candidate("recalibrate", {}, float("nan"), time.monotonic() - began, note=error.message), None
