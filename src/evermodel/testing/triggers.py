"""What every trigger must promise. ``check_trigger`` runs all checks; its error names the promise that is broken."""

from __future__ import annotations

import copy
from collections.abc import Callable

from evermodel.core.records.job import JobReason, JobReasonCode
from evermodel.core.trigger import Trigger, TriggerInput
from evermodel.testing.check_runner import check_function_signature, run_checks

Check = Callable[[Trigger, TriggerInput, TriggerInput], None]


def check_signature(trigger: Trigger, due: TriggerInput, quiet: TriggerInput) -> None:
    """The input stands before the slash, and there are no settings: they are keys of the policy."""
    check_function_signature(trigger, positional=1)


def check_docstring(trigger: Trigger, due: TriggerInput, quiet: TriggerInput) -> None:
    """The docstring says when the trigger asks for an update."""
    assert (trigger.__doc__ or "").strip(), "there is no docstring"


def check_asks_when_it_should(trigger: Trigger, due: TriggerInput, quiet: TriggerInput) -> None:
    """It gives a reason for the example where an update is due, and None where all is quiet."""
    assert isinstance(trigger(due), JobReason), f"an update is due, and it gave {trigger(due)!r}"
    assert trigger(quiet) is None, f"all is quiet, and it gave {trigger(quiet)!r}"


def check_reason_can_be_told(trigger: Trigger, due: TriggerInput, quiet: TriggerInput) -> None:
    """The reason has a code of ours, or a code of its own with a sentence; its data are texts and numbers."""
    reason = trigger(due)
    assert reason is not None, "an update is due, and it gave no reason"
    assert reason.code, "the reason has no code"
    ours = reason.code in set(JobReasonCode)
    assert ours or reason.message.strip(), f"the code {reason.code!r} is not ours, and the reason has no message"
    for key, value in reason.data.items():
        assert isinstance(value, (str, int, float)), f"{key} is a {type(value).__name__}"


def check_same_input_same_answer(trigger: Trigger, due: TriggerInput, quiet: TriggerInput) -> None:
    """It is a pure function: asked twice it answers alike, whatever it was asked in between."""
    before = trigger(due), trigger(quiet)
    after = trigger(due), trigger(quiet)
    assert before[0] is not None, "asked again, it gives no reason any more"
    assert before == after, f"{before} and then {after}"


def check_input_is_not_changed(trigger: Trigger, due: TriggerInput, quiet: TriggerInput) -> None:
    """What it is given stays as it is."""
    for given in (due, quiet):
        before = copy.deepcopy(given)
        trigger(given)
        assert before == given, "the input was changed"


CHECKS: tuple[Check, ...] = (
    check_signature,
    check_docstring,
    check_asks_when_it_should,
    check_reason_can_be_told,
    check_same_input_same_answer,
    check_input_is_not_changed,
)


def check_trigger(trigger: Trigger, due: TriggerInput, quiet: TriggerInput) -> int:
    """Runs every check on a trigger's function; returns how many ran.

    ``due`` and ``quiet`` are inputs for which it must, and must not, ask for an update. Raises AssertionError that
    names the broken promise.
    """
    return run_checks(CHECKS, "trigger", trigger.__name__, trigger, due, quiet)
