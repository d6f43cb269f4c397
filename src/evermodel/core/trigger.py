"""Triggers: pure functions that say whether a model should be updated now, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Protocol

from evermodel.core.plugins import FunctionKind
from evermodel.core.records.job import JobReason
from evermodel.core.records.maintenance_policy import Policy
from evermodel.core.records.monitoring import Alarm, AlarmKind, MonitorStatus
from evermodel.core.records.update_mode import UnrecoveredLoss, UpdateMode


@dataclass(frozen=True)
class TriggerInput:
    """All that a trigger may look at, at one check. Scores are of the metric that decides."""

    policy: Policy
    status: MonitorStatus
    now: float  # Unix seconds
    updated_at: float = 0.0  # of the last update; 0: none was made yet
    trained_at: float = 0.0  # of the last full training; where there was none, since the policy is there
    n_ready: int = 0  # labelled rows that no update has learnt from
    n_ready_late: int = 0  # those of them whose labels came later than the rows
    n_known: int = 0  # rows remembered, without those that are ready
    last_update_waited: bool = False  # it found fewer labelled rows than the policy asks for
    answered: Mapping[str, UpdateMode] = field(default_factory=dict)  # alarm -> heaviest mode that answered it
    gains_shrink: bool = False  # full trainings win less and less
    unrecovered_loss: UnrecoveredLoss | None = None
    metric: str = ""
    higher_is_better: bool = True
    promoted_score: float = 0.0  # of the champion when it was promoted
    recent_score: float = 0.0  # on the newest labelled rows; both 0 where it is not known
    update_seconds: float = 0.0  # processor seconds that an update is expected to cost

    def alarms(self, kind: AlarmKind, *, answered: bool) -> list[Alarm]:
        """Open alarms of a kind that an update has, or has not, answered yet."""
        return [a for a in self.status.open if a.kind is kind and (alarm_key(a) in self.answered) == answered]


def alarm_key(alarm: Alarm) -> str:
    """The same for the same alarm of the same occasion."""
    return f"{alarm.kind}:{alarm.subject}@{alarm.since}"


class Trigger(Protocol):
    """The function of a trigger plugin: a reason to update now, or None. It is pure: it reads nothing else.

    Its settings are keys of the policy, so it has none of its own.
    """

    __name__: str

    def __call__(self, trigger_input: TriggerInput, /) -> JobReason | None: ...


TRIGGERS: FunctionKind[Trigger, ModuleType] = FunctionKind("triggers", ModuleType)
