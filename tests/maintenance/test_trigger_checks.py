"""The checks of testing/triggers.py: our triggers pass them, and each catches a trigger that breaks it."""

from __future__ import annotations

import dataclasses

import pytest

from evermodel.core.records.job import JobReason, JobReasonCode
from evermodel.core.records.maintenance_policy import Policy
from evermodel.core.records.monitoring import MonitorStatus
from evermodel.core.trigger import TRIGGERS, TriggerInput
from evermodel.testing import triggers as checks
from evermodel.testing.check_runner import run_checks

DAY = 86_400.0
QUIET = TriggerInput(
    Policy(rows=500), MonitorStatus("m", "v1", "binary", ""), now=1000 * DAY, updated_at=999 * DAY, trained_at=999 * DAY
)
DUE = {
    "rows": dataclasses.replace(QUIET, n_ready=600),
    "age": dataclasses.replace(QUIET, trained_at=800 * DAY),
}


@pytest.mark.parametrize("name", DUE)
def test_a_trigger_passes(name: str) -> None:
    assert checks.check_trigger(TRIGGERS.load(name), DUE[name], QUIET) == len(checks.CHECKS)


@pytest.mark.parametrize("name", TRIGGERS.names())
def test_no_trigger_asks_where_all_is_quiet(name: str) -> None:
    assert TRIGGERS.load(name)(QUIET) is None


def rows(given: TriggerInput, /) -> JobReason | None:
    """The rows trigger of ours, to be broken."""
    return TRIGGERS.load("rows")(given)


def with_setting(given: TriggerInput, /, *, most=3) -> JobReason | None:
    """It has an untyped setting."""
    return rows(given)


def without_docstring(given: TriggerInput, /) -> JobReason | None:
    return rows(given)


def never(given: TriggerInput, /) -> JobReason | None:
    """It never asks."""


def always(given: TriggerInput, /) -> JobReason | None:
    """It always asks."""
    return JobReason(JobReasonCode.ENOUGH_ROWS, {"ready": 1, "wanted": 1})


def without_words(given: TriggerInput, /) -> JobReason | None:
    """Its own code has no sentence."""
    return JobReason("because") if given.n_ready else None


def with_an_object(given: TriggerInput, /) -> JobReason | None:
    """Its data cannot be stored."""
    return JobReason("because", {"policy": given.policy}, "Because.") if given.n_ready else None  # type: ignore[dict-item]


_asked: list[TriggerInput] = []


def remembers(given: TriggerInput, /) -> JobReason | None:
    """It asks only the first time."""
    _asked.append(given)
    return rows(given) if len(_asked) < 3 else None


def changes(given: TriggerInput, /) -> JobReason | None:
    """It writes to what it is given."""
    object.__setattr__(given, "n_known", given.n_known + 1)
    return rows(given)


BROKEN = [
    (checks.check_signature, with_setting),
    (checks.check_docstring, without_docstring),
    (checks.check_asks_when_it_should, never),
    (checks.check_asks_when_it_should, always),
    (checks.check_reason_can_be_told, without_words),
    (checks.check_reason_can_be_told, with_an_object),
    (checks.check_same_input_same_answer, remembers),
    (checks.check_input_is_not_changed, changes),
]


@pytest.mark.parametrize(("check", "broken"), BROKEN)
def test_a_check_catches_a_trigger_that_breaks_it(check: checks.Check, broken) -> None:
    _asked.clear()
    with pytest.raises(AssertionError, match=check.__name__):
        run_checks([check], "trigger", broken.__name__, broken, DUE["rows"], QUIET)


def test_every_check_is_shown_to_catch_something() -> None:
    assert {check for check, _ in BROKEN} == set(checks.CHECKS)
