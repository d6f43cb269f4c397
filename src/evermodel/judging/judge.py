"""The judge: asks every gate of a policy, and decides what happens to the challenger."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from evermodel.core.errors import BadData, BadSetting
from evermodel.core.records.verdict import (
    Comparison,
    Decision,
    Finding,
    GradedRows,
    JudgedRows,
    JudgePolicy,
    Reason,
    ReasonCode,
    Verdict,
)
from evermodel.core.settings import read_settings, settings_of
from evermodel.judging.grading import PAST_MARGINS, analysis_confidence, grade_rows
from evermodel.judging.judge_input import GATES, JudgeInput

logger = logging.getLogger(__name__)

GATES_OF_POLICY: dict[JudgePolicy, dict[str, dict[str, Any]]] = {  # with the settings that the policy gives them
    JudgePolicy.BETTER: {"skill": {}, "enough_events": {}, "better": {}, "not_worse": {}, "guard": {}, "slices": {}},
    JudgePolicy.NO_WORSE: {
        "skill": {},
        "enough_events": {},
        "no_worse": {},
        "guard": {},
        "retention": {},
        "slices": {},
    },
    JudgePolicy.REFRESH: {
        "skill": {},
        "enough_events": {},
        "not_shown_worse": {},
        "guard": {"estimate": False},
        "slices": {},
    },
    JudgePolicy.CHEAPER: {"skill": {}, "enough_events": {}, "not_worse": {}, "guard": {}, "slices": {}, "cheaper": {}},
}
DECISIONS = (  # the worst finding first
    (Finding.INVALID, Decision.INVALID),
    (Finding.FAIL, Decision.REJECT),
    (Finding.HOLD, Decision.HOLD),
)


def judge(
    judge_input: JudgeInput,
    /,
    *,
    policy: JudgePolicy = JudgePolicy.BETTER,
    margin: float | None = None,
    past_margin: float | None = None,
    guard_margin: float | None = None,
    confidence: float = 0.95,
    gates: Mapping[str, Mapping[str, Any] | None] | None = None,
) -> Verdict:
    """Promote, hold, reject, or invalid: the worst that any gate found, with every gate's reason.

    ``margin`` is that of the primary metric, ``guard_margin`` that of the user's metric, ``past_margin`` (default:
    three margins) that on rows known before: in points (hundredths of a score) or, for losses and R2, percent of the
    loss; None is 1 point or 2 %. ``confidence`` is that of each one-sided statement. ``gates`` adds gates by name with
    their settings, changes settings, or with None leaves a gate out. Raises BadSetting, NotFound.
    """
    check_policy(policy)
    if not 0.5 < confidence < 1.0:
        raise BadSetting(f"confidence must be above 0.5 and below 1. Got {confidence!r}.", "0.95 is the default.")
    settings: dict[str, Mapping[str, Any] | None] = dict(GATES_OF_POLICY[policy])
    if judge_input.other_answers:
        settings["answers"] = {}
    if judge_input.guarded is not None:
        settings["guard_rows"] = {}
    if judge_input.votes is not None:
        settings["votes"] = {}
    for name, changed in (gates or {}).items():
        settings[name] = None if changed is None else {**(settings.get(name) or {}), **changed}
    shared = {"margin": margin, "past_margin": past_margin, "guard_margin": guard_margin, "confidence": confidence}
    reasons = tuple(_ask_gate(judge_input, name, shared, own) for name, own in settings.items() if own is not None)
    sure = analysis_confidence(confidence, judge_input.analysis, judge_input.n_analyses)
    graded = _grade(judge_input, margin, past_margin, sure)
    verdict = dataclasses.replace(combine_reasons(reasons), policy=JudgePolicy(policy), graded=graded)
    findings = ", ".join(f"{r.gate} {r.finding} ({r.code})" for r in reasons)
    logger.info("The verdict of the policy %s is %s: %s.", policy, verdict.decision, findings)
    return verdict


def combine_reasons(reasons: tuple[Reason, ...]) -> Verdict:
    """The worst finding decides; rows needed are the most that a holding gate asks for, None if none can say."""
    findings = {r.finding for r in reasons}
    worst, decision = next((pair for pair in DECISIONS if pair[0] in findings), (None, Decision.PROMOTE))
    comparisons: list[Comparison] = []
    for reason in reasons:
        if reason.comparison is not None and reason.comparison not in comparisons:
            comparisons.append(reason.comparison)
    needed = [r.rows_needed for r in reasons if r.finding is Finding.HOLD and r.rows_needed is not None]
    rows_needed = max(needed) if decision is Decision.HOLD and needed else None
    stopped_by = tuple(dict.fromkeys(r.gate for r in reasons if r.finding is worst))
    return Verdict(decision, reasons, tuple(comparisons), rows_needed, stopped_by=stopped_by)


def check_policy(policy: str) -> JudgePolicy:
    """The policy of that name. Raises BadSetting."""
    if policy not in GATES_OF_POLICY:
        raise BadSetting(f"policy must be one of {', '.join(GATES_OF_POLICY)}. Got {policy!r}.")
    return JudgePolicy(policy)


def _grade(
    judge_input: JudgeInput, margin: float | None, past_margin: float | None, confidence: float
) -> tuple[GradedRows, ...]:
    """What the new rows show, and those known before; nothing where they cannot be scored."""
    past = judge_input.past
    try:
        earlier = judge_input.earlier_updates
        graded = [grade_rows(judge_input, judge_input.new, margin=margin, confidence=confidence, earlier=earlier)]
        if past is not None and len(past):
            share = margin if past_margin is None else past_margin / PAST_MARGINS
            graded.append(grade_rows(judge_input, past, which=JudgedRows.PAST, margin=share, confidence=confidence))
    except BadData:
        logger.info("The rows could not be graded.", exc_info=True)
        return ()
    return tuple(graded)


def _ask_gate(judge_input: JudgeInput, name: str, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Reason:
    """The gate's reason; it gets those of the shared settings that it has, and its own."""
    gate = GATES.load(name)
    accepted = {s.name for s in settings_of(gate)}
    settings = {k: v for k, v in shared.items() if k in accepted and v is not None} | dict(own)
    try:
        return gate(judge_input, **read_settings(gate, settings))
    except BadData as error:  # rows that cannot be scored are no evidence, for or against
        logger.info("The gate %s could not score the rows.", name, exc_info=True)
        return Reason(name, Finding.INVALID, ReasonCode.ROWS_UNSCORABLE, message=error.message)
