"""Which mode an update has: incremental as a rule, a full training where there is a reason, within the budget."""

from __future__ import annotations

from dataclasses import dataclass

from evermodel.core.records.job import JobReasonCode
from evermodel.core.records.update_mode import UpdateMode
from evermodel.maintenance.job_context import JobContext
from evermodel.maintenance.job_wording import describe_mode
from evermodel.maintenance.maintenance_state import MaintenanceState, gains_shrink
from evermodel.registry.row_memory import read_memory

TRIALS = 12  # of a search with nobody looking
CHEAPER = {
    UpdateMode.TUNE: (UpdateMode.TUNE, UpdateMode.SINGLE_FIT, UpdateMode.INCREMENTAL),
    UpdateMode.SINGLE_FIT: (UpdateMode.SINGLE_FIT, UpdateMode.INCREMENTAL),
    UpdateMode.INCREMENTAL: (UpdateMode.INCREMENTAL,),
}


@dataclass(frozen=True)
class ModeChoice:
    """The mode, and a sentence that says why; no mode where the month's budget does not reach for any."""

    mode: UpdateMode | None
    note: str


def choose_mode(context: JobContext, month: str) -> ModeChoice:
    """The mode that the job's reasons call for, or a cheaper one where the month's budget does not reach, or none."""
    state, policy = context.state, context.policy
    left = policy.budget - state.spent.get(month, 0.0)
    blocks = read_memory(context.store, context.name).blocks
    n_known = sum(block.n_rows for block in blocks)
    n_trained = state.full_rows or (blocks[0].n_rows if blocks else 0)
    wanted, reason = _wanted_mode(context, n_known + state.rows_ready, n_trained)
    for mode in CHEAPER[wanted]:
        if estimate_seconds(state, mode, n_known + state.rows_ready) <= left:
            note = f"{describe_mode(mode)}: {reason}"
            cheaper = "" if mode is wanted else f"; {describe_mode(wanted)} needs more than the {left:,.0f} compute "
            return ModeChoice(mode, note + (cheaper and f"{cheaper}seconds left this month"))
    note = f"no update: {left:,.0f} compute seconds are left of {policy.budget:,.0f} this month ({reason})"
    return ModeChoice(None, note)


def estimate_seconds(state: MaintenanceState, mode: UpdateMode, n_known: int) -> float:
    """Compute seconds, by what the same mode took a row the last time; 0 where it was never used."""
    n_rows = state.rows_ready if mode is UpdateMode.INCREMENTAL else n_known
    rate = state.rates.get(mode)
    if rate is None:
        rate = state.rates.get(UpdateMode.SINGLE_FIT, 0.0) * TRIALS if mode is UpdateMode.TUNE else 0.0
    return rate * n_rows


def _wanted_mode(context: JobContext, n_known: int, n_trained: int) -> tuple[UpdateMode, str]:
    job, state = context.job, context.state
    not_mended = job.has_reason(JobReasonCode.ALARM_STILL_OPEN, JobReasonCode.LOSS_NOT_RECOVERED)
    if not_mended and gains_shrink(state.gains):
        return UpdateMode.TUNE, "full trainings gain less and less, and the last update did not help"
    if not_mended:
        return UpdateMode.SINGLE_FIT, "the last update did not help"
    if job.has_reason(JobReasonCode.OLD_TRAINING):
        return UpdateMode.SINGLE_FIT, "the last full training is old"
    if n_trained and n_known >= context.policy.growth * n_trained:
        return UpdateMode.SINGLE_FIT, f"{n_known:,} rows are known, {n_trained:,} when last trained in full"
    return UpdateMode.INCREMENTAL, "nothing asks for a full training"
