"""What is lost while nothing is done is worth more than an update costs."""

from __future__ import annotations

from evermodel.core.records.job import JobReason, JobReasonCode, ReasonValue
from evermodel.core.records.monitoring import MonitorStatus
from evermodel.core.trigger import TriggerInput

__all__ = ["cost"]
DAY = 86_400.0
RECOVERED = 0.5  # share of the lost points that an update is taken to recover
NEWEST_WINDOWS = 14


def cost(trigger_input: TriggerInput, /) -> JobReason | None:
    """The points lost since promotion, at the policy's ``point_value`` over its ``horizon``, against compute seconds.

    Nothing where the policy puts no value on a point.
    """
    policy = trigger_input.policy
    sign = 1 if trigger_input.higher_is_better else -1
    lost = 100.0 * sign * (trigger_input.promoted_score - trigger_input.recent_score)
    if not policy.point_value or not lost > 0:
        return None
    days = policy.seconds("horizon") / DAY
    volume = policy.volume or _predictions_a_day(trigger_input.status)
    worth = RECOVERED * lost * policy.point_value * volume / 1_000 * days
    price = trigger_input.update_seconds * policy.second_cost
    if worth <= price:
        return None
    data: dict[str, ReasonValue] = {
        "lost": lost,
        "metric": trigger_input.metric,
        "worth": worth,
        "days": days,
        "volume": volume,
    }
    return JobReason(JobReasonCode.WORTH_ITS_COST, {**data, "price": price})


def _predictions_a_day(status: MonitorStatus) -> float:
    """Of the newest windows that have dates; 0 where that is not known."""
    dated = [w.rows for w in status.windows if not w.slice and not w.start.isdigit()][-NEWEST_WINDOWS:]
    return sum(dated) / len(dated) if dated else 0.0
