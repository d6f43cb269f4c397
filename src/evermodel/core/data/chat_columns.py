"""Columns of conversations: lists of messages, each with a role and a content.

Such a column ``messages`` becomes the text column ``messages``, which holds the conversation up to its last answer as
JSON, and ``messages.answer``, that answer: what a model learns to write. A conversation that ends with a question has
none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

ANSWER = ".answer"
ANSWERING = ("assistant", "model")  # roles of the one who answers


def split_conversations(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The rows with each column of conversations as a text, and its last answer as another. Reads nothing."""
    for name, dtype in frame.collect_schema().items():
        if not _holds_messages(dtype):
            continue
        whole = pl.col(name)
        frame = frame.with_columns(
            whole.map_elements(write_question, return_dtype=pl.String).alias(name),
            whole.map_elements(_find_answer, return_dtype=pl.String).alias(f"{name}{ANSWER}"),
        )
    return frame


def _holds_messages(dtype: pl.DataType) -> bool:
    if not isinstance(dtype, pl.List) or not isinstance(dtype.inner, pl.Struct):
        return False
    fields = {field.name: field.dtype for field in dtype.inner.fields}
    return fields.get("role") == pl.String and fields.get("content") == pl.String


def write_question(messages: Sequence[dict[str, Any]]) -> str | None:
    """A conversation up to its last answer, as JSON; None where nothing is asked."""
    told = [{key: value for key, value in message.items() if value is not None} for message in messages]
    asked = told[:-1] if told and told[-1].get("role") in ANSWERING else told
    return json.dumps(asked, ensure_ascii=False) if asked else None


def is_conversation(found: Any) -> bool:
    """Whether it is a list of messages, at least one, each with a role and a content."""
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(m, dict) and {"role", "content"} <= m.keys() for m in found)
        and all(isinstance(m["role"], str) and isinstance(m["content"], str) for m in found)
    )


def _find_answer(messages: Sequence[dict[str, Any]]) -> str | None:
    last = messages[-1] if len(messages) else {}
    content = last.get("content") if last.get("role") in ANSWERING else None
    return None if content is None else str(content)
