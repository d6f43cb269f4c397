"""Work that is due for a model: each job is there once, is done by one worker at a time, and takes effect once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from evermodel.core.records.codec import RecordKind
from evermodel.core.records.update_mode import UpdateMode


class JobKind(StrEnum):
    """What a job does: a check takes in rows and asks the triggers, an update trains and judges."""

    CHECK = "check"
    UPDATE = "update"


class JobState(StrEnum):
    """Where a job stands. ``dead``: given up, with its error in the outcome."""

    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class JobReasonCode(StrEnum):
    """Why a job is due. A trigger of another package may use a code of its own."""

    FIRST_CHECK = "first_check"
    SCHEDULE = "schedule"
    MORE_ERRORS = "more_errors"  # an alarm of the model's quality that no update has answered
    ALARM_STILL_OPEN = "alarm_still_open"  # after an update answered it
    LOSS_NOT_RECOVERED = "loss_not_recovered"
    DRIFT = "drift"
    ENOUGH_ROWS = "enough_rows"
    LABELS_CAME = "labels_came"
    OLD_TRAINING = "old_training"
    WORTH_ITS_COST = "worth_its_cost"


ReasonValue = str | int | float


@dataclass(frozen=True)
class JobReason:
    """Why a job is due: a code, and the values behind it. ``maintenance/job_wording.py`` makes a sentence of it.

    ``message`` is for codes that we do not know: the sentence of a trigger of another package.
    """

    code: str  # a JobReasonCode
    data: Mapping[str, ReasonValue] = field(default_factory=dict)
    message: str = ""


class JobDecision(StrEnum):
    """What an update job decided: the outcome of its update, or why there was none."""

    PROMOTE = "promote"
    AWAITING_APPROVAL = "awaiting_approval"
    HOLD = "hold"
    REJECT = "reject"
    INVALID = "invalid"
    WAIT = "wait"  # too few rows, or too little of the month's budget
    REFUSE = "refuse"  # the rows do not fit the model
    NOTHING_NEW = "nothing_new"  # all rows were known before


@dataclass(frozen=True)
class JobError:
    """Why an attempt failed."""

    type: str  # the class of the exception
    message: str
    traceback: str = ""  # its newest part


@dataclass(frozen=True)
class JobOutcome:
    """What came of a job, or of its last attempt."""

    decision: JobDecision | None = None
    notes: tuple[str, ...] = ()  # what was done, one sentence each, for people
    update_mode: UpdateMode | None = None
    version: str | None = None  # the challenger
    strategy: str | None = None
    compute_seconds: float = 0.0  # processor seconds of the whole job
    training_seconds: float = 0.0  # processor seconds of training
    error: JobError | None = None


@dataclass(frozen=True)
class Job:
    """``name``, ``kind`` and ``due`` are its key: what is due once exists once, however many replicas say so.

    ``fence`` grows with every worker that takes it; whoever acts with an older one is refused.
    """

    name: str
    kind: JobKind
    due: str  # ISO 8601, UTC
    reasons: tuple[JobReason, ...] = ()
    state: JobState = JobState.DUE
    owner: str = ""
    until: float = 0.0  # Unix seconds by the clock handed in: when the lease ends
    after: float = 0.0  # not before; later after each failure
    fence: int = 0
    attempts: int = 0
    progress: str = ""
    outcome: JobOutcome | None = None  # None: no attempt has ended yet
    number: int = 0

    def has_reason(self, *codes: JobReasonCode) -> bool:
        """Whether one of these codes is among its reasons."""
        return any(reason.code in codes for reason in self.reasons)


@dataclass(frozen=True)
class Done:
    """What is written in the same transaction as an effect: the job that had it, what came of it, what is due next.

    ``outcome`` None: the job goes on; its lease is only checked.
    """

    job: Job
    outcome: JobOutcome | None = None
    due: tuple[Job, ...] = ()


@dataclass(frozen=True)
class JobReasons:
    """The reasons of one job, as they are stored."""

    reasons: tuple[JobReason, ...] = ()


JOB_REASONS = RecordKind("list of a job's reasons", JobReasons)
JOB_OUTCOME = RecordKind("outcome of a job", JobOutcome)
