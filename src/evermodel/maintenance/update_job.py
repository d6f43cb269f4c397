"""The job that updates a model: its mode is chosen, the policy's limits are kept, and its effect is its end."""

from __future__ import annotations

import logging
import time

from evermodel.core.errors import AskedWrongly, ContractBroken, EvermodelError, NoData
from evermodel.core.records.event import DeliveryRefused, EventKind
from evermodel.core.records.job import JobDecision
from evermodel.core.records.update_mode import UpdateMode
from evermodel.judging.judge_request import JudgeRequest
from evermodel.maintenance.choose_update_mode import TRIALS, choose_mode
from evermodel.maintenance.job_completion import JobCompletion
from evermodel.maintenance.job_context import JobContext
from evermodel.maintenance.maintenance_state import DeliveredRows, Delivery, month_of, read_delivered_rows
from evermodel.maintenance.unattended_promotion import UnattendedPromotion
from evermodel.registry.lookup import champion_of
from evermodel.registry.versions import load_version
from evermodel.updating.update import UpdateRequest, update_model
from evermodel.updating.update_input import read_update_input

logger = logging.getLogger(__name__)


def run_update(context: JobContext) -> JobContext | None:
    """Updates the model with the rows that are ready; None where the update's commit has ended the job already."""
    ready, least = context.state.rows_ready, context.policy.min_rows
    if ready < least:
        note = f"too few labelled rows to learn from: {ready:,} are ready, the policy asks for {least:,}"
        return context.with_state(starved=True).with_note(note, decision=JobDecision.WAIT)
    choice = choose_mode(context, month_of(context.now))
    context = context.with_note(choice.note, update_mode=choice.mode)
    if choice.mode is None:
        return context.with_note(decision=JobDecision.WAIT)
    logger.info("%s: %s", context.name, choice.note)
    try:
        _update(context, choice.mode)
    except ContractBroken as error:
        fitting = drop_misfits(context)
        if fitting.state.rows_ready == ready or fitting.state.rows_ready < least:
            return fitting.with_note(f"not updated: {error.message}", decision=JobDecision.REFUSE)
        _update(fitting, choice.mode)
    except NoData as error:  # all of them were known before
        empty = context.with_state(ready=())
        return empty.with_note(f"not updated: {error.message}", decision=JobDecision.NOTHING_NEW)
    except AskedWrongly as error:
        return context.with_note(f"not updated: {error.message}", decision=JobDecision.REFUSE)
    return None


def _update(context: JobContext, mode: UpdateMode) -> None:
    """Runs the update through the pipeline, under the policy's limits; its commit ends the job."""
    policy = UnattendedPromotion(context.policy)
    completing = JobCompletion(context, mode, time.process_time())
    rows = read_delivered_rows(context.store, context.state.ready)
    inputs = load_version(context.store, champion_of(context.store, context.name)).contract.names
    rows = rows.drop([c for c in (context.policy.id,) if c in rows.columns and c not in inputs])
    judge = JudgeRequest(metric=context.policy.metric or None, policy=context.policy.judge_policy)
    context.progress(f"{mode} update on {rows.height:,} rows")
    if mode is UpdateMode.TUNE:
        from evermodel.searching.tune.tune import TuneRequest, tune_model

        left = context.policy.budget - context.state.spent.get(month_of(context.now), 0.0)
        search = TuneRequest(
            trials=TRIALS,
            budget=max(1.0, left),
            judge=judge,
            on_trial=context.check_time,
            on_epoch=context.check_time,
        )
        tune_model(context.store, context.name, rows, search, policy=policy, completing=completing)
    else:
        request = UpdateRequest(strategy=mode, judge=judge, on_epoch=context.check_time)
        update_model(context.store, context.name, rows, request, policy=policy, completing=completing)


def drop_misfits(context: JobContext) -> JobContext:
    """Without the deliveries that do not fit the model by themselves, else without the one that spoils the others."""
    parts = context.state.ready
    problems = [_find_misfit(context, (part,)) for part in parts]
    if not any(problems) and len(parts) > 1:  # together they do not fit: is it because of one alone?
        alone = [i for i in range(len(parts)) if not _find_misfit(context, parts[:i] + parts[i + 1 :])]
        if len(alone) == 1:
            problem = _find_misfit(context, parts)
            problems[alone[0]] = f"The other rows fit the model, with these they do not. {problem}"
    for part, problem in zip(parts, problems, strict=True):
        if problem:
            refused = Delivery("rows taken in before", "rows", part.blob, context.now, part.rows, problem)
            context = context.with_state(deliveries=(*context.state.deliveries, refused)).with_note(problem)
            context = context.with_event(
                EventKind.DELIVERY_REFUSED, DeliveryRefused(refused.source, (problem,), part.blob)
            )
    fitting = tuple(part for part, problem in zip(parts, problems, strict=True) if not problem)
    return context.with_state(ready=fitting)


def _find_misfit(context: JobContext, parts: tuple[DeliveredRows, ...]) -> str:
    """How rows break the model's contract; nothing where they do not, or where something else is wrong with them."""
    try:
        read_update_input(context.store, context.name, read_delivered_rows(context.store, parts))
    except ContractBroken as error:
        return error.message
    except EvermodelError:
        return ""
    return ""
