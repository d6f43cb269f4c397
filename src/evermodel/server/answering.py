"""From the body of a request to the body of the answer: read, check, predict, write; no network here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from evermodel.core.errors import BadData
from evermodel.core.records.model_signature import NamedOutput
from evermodel.server.checked_rows import CheckedRows, RefusedRow
from evermodel.server.open_inference import InferenceRequest, build_response
from evermodel.server.prepared_model import Predicted, PreparedModel
from evermodel.server.request_body import RequestRows

OnError = Literal["answer", "refuse"]
MOST_TOLD = 100  # refused rows that an answer lists
_encode = msgspec.json.encode


class RowsRefused(BadData):
    """Rows do not fit the signature, and none of the request is answered."""

    def __init__(self, refused: tuple[RefusedRow, ...], total: int) -> None:
        self.refused = refused
        super().__init__(f"{len(refused):,} of {total:,} rows do not fit the model's signature.")


@dataclass(frozen=True)
class Question:
    """A request that was read: its rows, how its answer is written, and what becomes of rows that do not fit."""

    rows: RequestRows
    on_error: OnError
    inference: InferenceRequest | None = None  # where it came by the Open Inference Protocol


@dataclass(frozen=True)
class Answer:
    """The body of an answer, and what the log keeps of it."""

    body: bytes
    checked: CheckedRows
    predicted: Predicted
    prepared: PreparedModel  # the version that answered
    json_length: int | None = None  # of the body, where tensors stand behind the JSON as bytes


def answer_question(prepared: PreparedModel, question: Question, identity: str) -> Answer:
    """Raises RowsRefused, ContractBroken, BadData. The caller holds the model's lock."""
    checked = question.rows.check(prepared.checker)
    if prepared.needed:
        checked = prepared.checker.refuse_missing(checked, prepared.needed)
    if checked.refused and (question.on_error == "refuse" or not len(checked)):
        raise RowsRefused(checked.refused, checked.total)
    predicted = prepared.predict(checked)
    if question.inference is not None:
        body, length = build_response(question.inference, prepared, predicted, identity)
        return Answer(body, checked, predicted, prepared, length)
    return Answer(_encode(build_answer(prepared, checked, predicted, identity)), checked, predicted, prepared)


def build_answer(
    prepared: PreparedModel, checked: CheckedRows, predicted: Predicted, identity: str
) -> Mapping[str, Any]:
    """MLflow's answer, ``predictions`` in the order of the rows (null for a refused one), and what we add to it."""
    spread: Callable[[list[Any]], list[Any]] = _spread(checked)
    held: dict[str, Any] = {
        "predictions": spread(predicted.labels),
        "model": prepared.name,
        "version": prepared.version,
        "prediction_id": identity,
    }
    if prepared.classes:
        held["classes"] = prepared.classes
        held["probabilities"] = spread(predicted.raw.tolist())
    for output in prepared.contract.outputs:
        if not output.primary:
            held.setdefault("outputs", {})[output.target] = _build_output(output, predicted, spread)
    if checked.refused:
        held["refused"] = list_refused(checked.refused)
        held["refused_rows"] = len(checked.refused)
    return held


def _build_output(
    output: NamedOutput, predicted: Predicted, spread: Callable[[list[Any]], list[Any]]
) -> Mapping[str, Any]:
    """An answer that is not the judged one, as the judged one is given."""
    p = predicted.others[output.target]
    if output.task == "regression":
        return {"predictions": spread(p.tolist())}
    labels = [output.labels[code] for code in p.argmax(axis=1).tolist()]
    return {"predictions": spread(labels), "classes": output.labels, "probabilities": spread(p.tolist())}


def list_refused(refused: tuple[RefusedRow, ...]) -> list[dict[str, Any]]:
    """The first refused rows as an answer lists them."""
    return [{"row": row.row, "column": row.column, "reason": row.reason} for row in refused[:MOST_TOLD]]


def _spread(checked: CheckedRows) -> Callable[[list[Any]], list[Any]]:
    if checked.positions is None:
        return lambda values: values
    places = checked.positions.tolist()

    def spread(values: list[Any]) -> list[Any]:
        full: list[Any] = [None] * checked.total
        for place, value in zip(places, values, strict=True):
            full[place] = value
        return full

    return spread
