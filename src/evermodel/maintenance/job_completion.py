"""What an update job commits along with its outcome: the state of maintenance, and the end of the job."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass

from evermodel.core.records.job import Done, JobDecision
from evermodel.core.records.monitoring import AlarmKind
from evermodel.core.records.update_decision import UpdateDecision
from evermodel.core.records.update_mode import UnrecoveredLoss, UpdateMode, heavier_mode
from evermodel.core.store import Move
from evermodel.core.trigger import alarm_key
from evermodel.maintenance.job_context import JobContext
from evermodel.maintenance.maintenance_state import (
    ALIAS,
    MaintenanceState,
    PendingApproval,
    Probation,
    month_of,
    write_maintenance_state,
)
from evermodel.monitoring.watch import read_status
from evermodel.registry.row_memory import read_memory
from evermodel.registry.update_result import UpdateResult
from evermodel.updating.stages import Completion, Outcome

MOST_GAINS = 12  # of full trainings that are remembered


@dataclass(frozen=True)
class JobCompletion:
    """Called by the pipeline's commit; see ``updating.stages.Completion``."""

    context: JobContext
    mode: UpdateMode
    began: float  # time.process_time() when the update began

    def __call__(self, outcome: Outcome, result: UpdateResult, /) -> Completion:
        context, seconds = self.context, time.process_time() - self.began
        state = self._after_update(context.state, outcome, seconds)
        if outcome.decision is UpdateDecision.AWAITING_APPROVAL:
            state = dataclasses.replace(state, pending=_pending_approval(context, outcome, result))
        elif outcome.decision is UpdateDecision.PROMOTE:
            state = dataclasses.replace(state, probation=_start_probation(context, outcome))
        record = dataclasses.replace(
            context.outcome,
            decision=JobDecision(outcome.decision),
            notes=(*context.outcome.notes, *result.reasons),
            version=outcome.challenger,
            strategy=result.strategy,
            compute_seconds=seconds,
            training_seconds=outcome.training_processor_seconds,
        )
        move = Move(ALIAS, write_maintenance_state(context.store, state), context.digest)
        return Completion((move,), context.events, Done(context.job, record, context.due))

    def _after_update(self, state: MaintenanceState, outcome: Outcome, seconds: float) -> MaintenanceState:
        """The state once the ready rows are learnt from: alarms answered, seconds spent, gain and loss noted."""
        context, mode = self.context, self.mode
        n_known = sum(block.n_rows for block in read_memory(context.store, context.name).blocks)
        n_ready = state.rows_ready
        n_trained = n_ready if mode is UpdateMode.INCREMENTAL else n_known + n_ready
        alarms = read_status(context.store, context.name).open
        evidence = outcome.judged.evidence
        sign = 1.0 if evidence is None or evidence.higher_is_better else -1.0
        promoted_score, recent_score = state.judged
        lost = any(a.kind is AlarmKind.QUALITY for a in alarms) and sign * (promoted_score - recent_score) > 0
        state = dataclasses.replace(
            state.with_spent(month_of(context.now), seconds),
            ready=(),
            updated=context.now,
            starved=False,
            answered={alarm_key(a): heavier_mode(state.answered.get(alarm_key(a)), mode) for a in alarms},
            rates={**state.rates, mode: seconds / max(n_trained, 1)},
            unrecovered_loss=update_loss(state, mode, n_known, n_ready, lost=lost),
        )
        if mode is UpdateMode.INCREMENTAL:
            return state
        gain = 0.0 if evidence is None else 100.0 * evidence.gain
        gains = (*state.gains, gain) if math.isfinite(gain) else state.gains
        return dataclasses.replace(state, full=context.now, full_rows=n_trained, gains=gains[-MOST_GAINS:])


def update_loss(
    state: MaintenanceState, mode: UpdateMode, n_known: int, n_ready: int, *, lost: bool
) -> UnrecoveredLoss | None:
    """What is to be recovered after an update by ``mode`` on ``n_ready`` rows more than ``n_known``."""
    n_tried = 0 if mode is UpdateMode.INCREMENTAL else n_known + n_ready
    loss = state.unrecovered_loss
    if loss is not None:
        heaviest = heavier_mode(loss.mode, mode)
        return dataclasses.replace(loss, mode=heaviest, n_tried=n_tried or loss.n_tried, is_short=False)
    return UnrecoveredLoss(*state.judged, mode, n_known, n_tried) if lost else None


def _pending_approval(context: JobContext, outcome: Outcome, result: UpdateResult) -> PendingApproval:
    return PendingApproval(str(outcome.challenger), outcome.champion, context.now, result.reasons, outcome.objections)


def _start_probation(context: JobContext, outcome: Outcome) -> Probation:
    """The new champion against the former one; against the one before it where that looks better so far."""
    version, champion = str(outcome.challenger), outcome.champion
    running, until = context.state.probation, context.now + context.policy.seconds("probation")
    if running is not None and running.version == champion and sum(running.worse) > 0:
        return Probation(version, running.former, until, running.block)
    return Probation(version, champion, until, read_memory(context.store, context.name).next_number)
