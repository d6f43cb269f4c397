"""Trains a candidate by a recipe, scores it beside the champion, and refits the winner on all rows."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.model.capabilities import LeafCount
from evermodel.core.model.fold_into_network import fold_correction
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.training import label_training
from evermodel.core.records.event import Decided, Event
from evermodel.core.records.learning_curve import Epoch, find_best_epoch
from evermodel.core.records.update_record import OutputCorrection, RefitCheck
from evermodel.core.stats.metric import METRICS
from evermodel.core.store import Store
from evermodel.judging.judge_input import JudgeInput
from evermodel.judging.judge_request import JudgeTerms
from evermodel.updating.error_correction import CORRECTED, correct_output
from evermodel.updating.former_model import blend_with_former
from evermodel.updating.recipes import ENSEMBLES, Recipe
from evermodel.updating.splitting import choose_tuning_rows
from evermodel.updating.update_input import UpdateInput
from evermodel.updating.verdicts.first_skill import add_first_skill
from evermodel.updating.verdicts.pairing import (
    build_judge_input,
    is_shown_worse,
    list_earlier_comparisons,
    pair_predictions,
    predict_trivially,
)
from evermodel.updating.verdicts.refit_check import check_refit
from evermodel.updating.verdicts.retention_baseline import predict_retention_rows, split_retention_rows

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedCandidate:
    """A model that a recipe trained, how long that took, and its learning curve."""

    recipe: Recipe
    model: Model
    seconds: float
    curve: tuple[Epoch, ...]
    processor_seconds: float = 0.0  # of this process: what other processes on a busy machine take is not in them
    blended_with: str = ""  # the role of a former model that answers together with it
    remarks: tuple[str, ...] = ()  # what the user should know of it
    correction: OutputCorrection | None = None  # of its output, held in the model itself
    refit_check: RefitCheck | None = None  # of a model that was refit on all rows: against the judged one


def train_candidate(recipe: Recipe, update_input: UpdateInput, context: Context) -> TrainedCandidate:
    """The candidate that the judge will see: trained without the judged rows, on which it is only watched."""
    split = dataclasses.replace(update_input.split(), watched_rows=update_input.judged_rows)
    if recipe.tunes:
        split = split_tuning_rows(update_input, split, context.seed)
    named = _label(context, f"challenger by {recipe.strategy}")
    return _train(recipe, update_input, [update_input.parent], split, named, corrects=update_input.is_trainable)


def train_preferred(recipe: Recipe, update_input: UpdateInput, context: Context) -> list[TrainedCandidate]:
    """The candidate of the recipe; before it that of its alternative where the tuning rows show that one to be better.

    What was trained and is not preferred comes last. Choosing on few rows loses, so that beyond doubt is asked for.
    """
    usual = train_candidate(recipe, update_input, context)
    tuning = split_tuning_rows(update_input, update_input.split(), context.seed).tuning_rows
    if recipe.alternative is None or tuning is None:
        return [usual]
    other = train_candidate(recipe.alternative, update_input, context)
    metric = "rmse" if usual.model.contract.task == "regression" else "log_loss"
    is_better = is_shown_worse(usual.model, other.model, tuning, metric=metric)
    return [other, usual] if is_better else [usual, other]


def split_tuning_rows(update_input: UpdateInput, split: Split, seed: int) -> Split:
    """The split with part of its new rows kept out of training, to stop it early by; none where they are too few."""
    is_tuning = choose_tuning_rows(split.new_rows, shuffled=update_input.card.shuffled, seed=seed)
    if not is_tuning.any():
        return split
    tuning, rest = split.new_rows.rows(is_tuning), split.new_rows.rows(~is_tuning)
    return dataclasses.replace(split, new_rows=rest, tuning_rows=tuning)


def refit_on_all_rows(
    store: Store, update_input: UpdateInput, judged: TrainedCandidate, context: Context, metric: str | None = None
) -> TrainedCandidate:
    """The winner trained with the judged rows as well, checked against the judged one (``refit_check.py``).

    ``metric``: by which a former model may be shown worse than the winner (see ``blend_with_former``).
    """
    rows = update_input.new.rows(~update_input.is_reserved)  # the judged rows as well
    split = Split(rows, update_input.replay_rows, watched_rows=update_input.retention_rows)
    every = np.ones(len(update_input.new), dtype=bool)
    context = _label(context, "refit on all rows")
    if judged.recipe.refit is None:
        recipe = _for_epochs_found(judged)
        refit = _train(recipe, update_input, [update_input.parent], split, context, corrects=every)
    else:
        if judged.recipe.refit.continues_judged:
            split = _unseen_split(update_input, context.seed)
        recipe = dataclasses.replace(judged.recipe.refit, corrects_output=judged.recipe.corrects_output)
        refit = _train(recipe, update_input, [judged.model, update_input.parent], split, context, corrects=every)
    role = judged.recipe.blends_with
    blend = blend_with_former(store, update_input, refit.model, judged.model, role, metric) if role else None
    if blend is not None:
        refit = dataclasses.replace(refit, model=blend.model, blended_with=role, remarks=(blend.remark,))
    check = check_refit(update_input, judged.model, refit.model)
    if not check.stores_refit:
        logger.info("%s: the refit model is not like the judged one, which serves", update_input.card.name)
    return dataclasses.replace(refit, refit_check=check)


def _label(context: Context, training: str) -> Context:
    """The context of one training, which whoever watches is told the name of."""
    return dataclasses.replace(context, on_epoch=label_training(context.on_epoch, training))


def _limit_leaves(parents: Sequence[Model], model: Model, most: int) -> list[Model] | None:
    """The parents as models whose training gives at most ``most`` leaves; None where ``model`` has no more."""
    plugin = model.framework
    if not most or not isinstance(plugin, LeafCount) or plugin.count_leaves(model.obj) <= most:
        return None
    return [
        dataclasses.replace(p, obj=plugin.limit_leaves(p.obj, most)) if p.framework is plugin else p for p in parents
    ]


def _for_epochs_found(judged: TrainedCandidate) -> Recipe:
    """The recipe for as many epochs as the judged candidate was best after: no rows are left to stop early by."""
    settings = dict(judged.recipe.settings)
    if not judged.recipe.tunes or settings.pop("patience", None) is None:
        return judged.recipe
    epochs = find_best_epoch(judged.curve)
    return dataclasses.replace(judged.recipe, settings=settings if epochs is None else settings | {"epochs": epochs})


def _unseen_split(update_input: UpdateInput, seed: int) -> Split:
    """The rows that the judged model was not trained on, and those remembered from before to train on beside them."""
    split = split_tuning_rows(update_input, update_input.split(), seed)
    unseen = (
        update_input.judged_rows if split.tuning_rows is None else split.tuning_rows.with_rows(update_input.judged_rows)
    )
    replay = split.replay_rows if split.replay_rows is not None and len(split.replay_rows) else split.new_rows
    return Split(unseen, replay, watched_rows=update_input.retention_rows)


def _train(
    recipe: Recipe,
    update_input: UpdateInput,
    parents: Sequence[Model],
    split: Split,
    context: Context,
    *,
    corrects: Array,
) -> TrainedCandidate:
    """Runs the recipe's strategy; where the champion came of the same recipe, its errors correct the output.

    ``corrects`` (n,) bool: the new rows on which the champion's errors are measured.
    """
    began, processor_began, curve = time.monotonic(), time.process_time(), list[Epoch]()

    def record(epoch: Epoch) -> None:
        curve.append(epoch)
        context.on_epoch(epoch)

    recording = dataclasses.replace(context, on_epoch=record)
    model = recording.run_strategy(recipe.strategy, parents, split, **recipe.settings)
    keeps_size = (
        recipe.strategy == "refit" and update_input.parent.obj is update_input.champion.obj
    )  # a search chose else
    smaller = _limit_leaves(parents, model, update_input.most_leaves) if keeps_size else None
    if smaller is not None:  # trees grow with the rows: as large as the deployed ones, they cost as much to serve
        model = recording.run_strategy(recipe.strategy, smaller, split, **recipe.settings)
    deployed = update_input.champion.output.without_correction()
    model = fold_correction(model, deployed)
    card, correction = update_input.card, None
    was_refit = card.update is not None and card.update.refit
    same_recipe = was_refit and card.strategy == recipe.strategy  # a model of another recipe errs otherwise
    if recipe.corrects_output and same_recipe and model.contract.task in CORRECTED:
        y = update_input.champion.target(update_input.new)
        model, correction = _correct(recipe, model, update_input.champion_predictions[corrects], y[corrects])
    seconds, processor_seconds = time.monotonic() - began, time.process_time() - processor_began
    return TrainedCandidate(recipe, model, seconds, tuple(curve), processor_seconds, correction=correction)


def _correct(recipe: Recipe, model: Model, f: Array, y: Array) -> tuple[Model, OutputCorrection | None]:
    """The model with its output corrected by the error of the predictions ``f``, held in its last layer or its leaves.

    Where these cannot hold it, it is left out: the file alone has to answer so. An ensemble's stays outside of it.
    """
    corrected = correct_output(model, f, y)
    if recipe.blends_with or recipe.strategy in ENSEMBLES:
        return corrected, None
    folded = fold_correction(corrected, model.output)
    if folded is corrected:
        return model, None
    return folded, OutputCorrection(corrected.output.gain, corrected.output.offset)


def score_candidate(
    store: Store,
    log: Sequence[Event],
    update_input: UpdateInput,
    model: Model,
    rows: Table,
    terms: JudgeTerms,
    strategy: str,
) -> JudgeInput:
    """Champion and ``model`` on ``rows`` and on rows known before.

    ``log`` holds what former updates by the same ``strategy`` showed, and how much skill the model usually has.
    """
    split = update_input.split()
    skills = [e.data.skill for e in log if isinstance(e.data, Decided) and e.data.skill is not None]
    baseline = update_input.retention_baseline
    past, in_sample = split_retention_rows(store, update_input)
    scores = build_judge_input(
        update_input.champion,
        model,
        rows,
        past,
        past_answers=None
        if baseline is None or past is None
        else predict_retention_rows(update_input.champion, baseline, past),
        metric=terms.metric,
        guard=terms.guard,
        earlier=() if update_input.n_judged_before else list_earlier_comparisons(store, log, strategy),
        series=not update_input.card.shuffled,
        trivial=predict_trivially(model, split.replay_rows or split.new_rows, rows),
        usual_skill=float(np.mean(skills)) if skills else None,
        in_sample=in_sample,
    )
    guard = update_input.guard_rows
    if guard is not None:
        both = update_input.champion.answer_rows(guard), model.answer_rows(guard)
        scores = dataclasses.replace(scores, guarded=pair_predictions(*both, model, guard, series=False))
    return scores if skills else add_first_skill(update_input, scores)


def metric_score(metric: str, y: Array, p: Array) -> float:
    """One metric on one set of predictions."""
    return float(METRICS.load(metric)(y, p))
