"""Why a promotion that the judge grants has to wait for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ObjectionCode(StrEnum):
    """What a maintenance policy limits."""

    APPROVAL_REQUIRED = "approval_required"  # every promotion waits for a person
    POINTS_LOST = "points_lost"  # points of the deciding metric, on the judged rows
    LATENCY = "latency"  # times the champion's
    SIZE = "size"  # bytes


@dataclass(frozen=True)
class PromotionObjection:
    """One limit of a policy that a challenger does not keep: its ``value`` and the ``limit``.

    Both are 0 for APPROVAL_REQUIRED, which has no number.
    """

    code: ObjectionCode
    value: float = 0.0
    limit: float = 0.0

    def describe(self) -> str:
        """The objection as a person reads it."""
        if self.code is ObjectionCode.POINTS_LOST:
            return f"It loses {self.value:.2f} points on the judged rows; the policy allows {self.limit:g} unattended."
        if self.code is ObjectionCode.LATENCY:
            return f"It takes {self.value:.1f} times the champion's time; the policy allows {self.limit:g} unattended."
        if self.code is ObjectionCode.SIZE:
            return f"It is {self.value:,.0f} bytes large; the policy allows {self.limit:,.0f} unattended."
        return "The policy asks for a person's approval before any promotion."
