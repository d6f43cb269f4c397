"""Asks every trigger of the policy whether the model should be updated now."""

from __future__ import annotations

import dataclasses
import logging

from evermodel.core.records.job import Job, JobKind, JobReason, JobState
from evermodel.core.records.maintenance_policy import SCHEDULE
from evermodel.core.stats.metric import METRICS
from evermodel.core.trigger import TRIGGERS, TriggerInput
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.maintenance.job_context import JobContext
from evermodel.maintenance.job_wording import describe_reason
from evermodel.maintenance.maintenance_state import gains_shrink
from evermodel.maintenance.schedule_jobs import read_policy
from evermodel.monitoring.watch import read_status
from evermodel.registry.lookup import champion_of
from evermodel.registry.row_memory import read_memory
from evermodel.registry.versions import load_version

__all__ = ["triggers"]
logger = logging.getLogger(__name__)


def triggers(context: JobContext) -> JobContext:
    """Adds an update job where a trigger asks for one and there are rows to learn from; notes every reason.

    The policy's "schedule" is no trigger of this kind: its jobs are due by themselves (schedule_jobs.py).
    """
    trigger_input = _read_input(context)
    asked = [TRIGGERS.load(name)(trigger_input) for name in context.policy.triggers if name != SCHEDULE]
    reasons: tuple[JobReason, ...] = tuple(reason for reason in asked if reason is not None)
    if not reasons:
        return context
    sentences = [describe_reason(reason) for reason in reasons]
    logger.info("%s: an update is called for: %s", context.name, "; ".join(sentences))
    ready, least = context.state.rows_ready, context.policy.min_rows
    if ready < least:
        note = f"an update is called for and waits for rows: {ready:,} are labelled, the policy asks for {least:,}"
        return context.with_note(note, *sentences)
    jobs = context.store.list_jobs(context.name, states=(JobState.DUE, JobState.RUNNING))
    if any(job.kind is JobKind.UPDATE for job in jobs):
        return context.with_note("an update is due already", *sentences)
    update = Job(context.name, JobKind.UPDATE, context.job.due, reasons)
    return dataclasses.replace(context.with_note(*sentences), due=(*context.due, update))


def _read_input(context: JobContext) -> TriggerInput:
    state, policy = context.state, context.policy
    card = champion_of(context.store, context.name)
    metric = policy.metric or DEFAULT_METRIC[load_version(context.store, card).contract.task]
    promoted_score, recent_score = state.judged
    return TriggerInput(
        policy=policy,
        status=read_status(context.store, context.name),
        now=context.now,
        updated_at=state.updated,
        trained_at=state.full or read_policy(context.store, context.name)[1].timestamp(),
        n_ready=state.rows_ready,
        n_ready_late=sum(part.rows for part in state.ready if part.late),
        n_known=sum(block.n_rows for block in read_memory(context.store, context.name).blocks),
        last_update_waited=state.starved,
        answered=state.answered,
        gains_shrink=gains_shrink(state.gains),
        unrecovered_loss=state.unrecovered_loss,
        metric=metric,
        higher_is_better=METRICS.load_module(metric).HIGHER_IS_BETTER,
        promoted_score=promoted_score,
        recent_score=recent_score,
        update_seconds=max(state.rates.values(), default=0.0) * max(state.rows_ready, 1),
    )
