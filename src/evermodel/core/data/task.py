"""What kind of answer a model gives."""

from __future__ import annotations

from typing import Literal

from evermodel.core.errors import AskedWrongly

Task = Literal["binary", "multiclass", "regression", "text"]  # text: an answer of any words
NumericTask = Literal["binary", "multiclass", "regression"]  # of an answer that is numbers, one of several


def refuse_text(task: Task, what: str, hint: str = "") -> None:
    """Raises AskedWrongly for a model of free text; ``what`` cannot be done with it."""
    if task == "text":
        raise AskedWrongly(f"The model answers with free text, which {what}.", hint)
