"""The usual skill of a model at its first update, when no former update has measured it."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from evermodel.core.data.table import Table
from evermodel.core.errors import EvermodelError
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.judging.baseline_skill import measure_skill
from evermodel.judging.judge_input import GATES, JudgeInput, PairedPredictions
from evermodel.updating.recipes import EPOCHS
from evermodel.updating.splitting import split_newest
from evermodel.updating.update_input import UpdateInput
from evermodel.updating.verdicts.pairing import predict_trivially

NEWEST = 2_000  # rows known before that the champion's skill is measured on
FEWEST = 60  # rows known before that can show a skill
logger = logging.getLogger(__name__)


def add_first_skill(update_input: UpdateInput, scores: JudgeInput) -> JudgeInput:
    """The scores with the skill that the model has on the rows of its adoption, so that broken rows can be told.

    The champion was trained on these rows and does too well on them. Only where the gate would take the new rows for
    broken beside that is the deployed recipe trained on the older of them and measured on the newer: the cost of one
    training, in the rare case.
    """
    known = update_input.replay_rows
    if known is None or len(known) < FEWEST or scores.trivial_predictions is None:
        return scores
    newest = known.rows(np.arange(max(0, len(known) - NEWEST), len(known)))
    measured = dataclasses.replace(scores, usual_skill=_measure(update_input.champion, scores, known, newest))
    finding: str = GATES.load("skill")(measured).finding
    if finding != "invalid":
        return measured
    return dataclasses.replace(scores, usual_skill=_measure_held_out(update_input, scores, known))


def _measure(model: Model, scores: JudgeInput, before: Table, rows: Table) -> float | None:
    answers = model.predict(rows.frame)
    paired = PairedPredictions(model.target(rows), answers, answers)
    trivial = predict_trivially(model, before, rows)
    skill = measure_skill(dataclasses.replace(scores, new=paired, trivial_predictions=trivial), answers)[0]
    return skill if np.isfinite(skill) else None


def _measure_held_out(update_input: UpdateInput, scores: JudgeInput, known: Table) -> float | None:
    """The skill of the champion's recipe on rows that it was not trained on; None where it cannot be trained."""
    is_newer = split_newest(known, shuffled=update_input.card.shuffled)
    older, newer = known.rows(~is_newer), known.rows(is_newer)
    settings = {"epochs": EPOCHS} if update_input.champion.signature.network else {}
    try:
        model = Context(0).run_strategy("refit", [update_input.champion], Split(older), **settings)
    except EvermodelError:
        logger.warning("%s: the usual skill cannot be measured", update_input.card.name, exc_info=True)
        return None
    return _measure(model, scores, older, newer)
