"""The gate, broken: its sentence names a number that it does not give."""

from __future__ import annotations

from evermodel.core.records.verdict import Finding, Reason
from evermodel.judging.judge_input import JudgeInput


def confident_mistakes(judge_input: JudgeInput, /) -> Reason:
    """Passes everything."""
    return Reason("confident_mistakes", Finding.PASS, "confident_mistakes", template="{mistakes:.0f} mistakes.")
