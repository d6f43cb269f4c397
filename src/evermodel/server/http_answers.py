"""The answers of the server in HTTP: bodies, errors with their status, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from evermodel.core.errors import ContractBroken, EvermodelError
from evermodel.server.answering import RowsRefused, list_refused
from evermodel.server.request_body import TooManyRows

CODES = {  # status -> the word that MLflow's clients look for
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "BAD_REQUEST",
    408: "REQUEST_TIMEOUT",
    413: "REQUEST_LIMIT_EXCEEDED",
    415: "BAD_REQUEST",
    421: "BAD_REQUEST",
    422: "INVALID_PARAMETER_VALUE",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
COME_BACK = {429: "1", 503: "1"}  # status -> seconds


class JsonBytes(Response):
    """JSON that is encoded already."""

    media_type = "application/json"


def answer_json(held: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any value as a JSON answer."""
    return JsonBytes(msgspec.json.encode(held), status, headers)


def answer_error(status: int, message: str, hint: str = "", **more: Any) -> Response:
    """An error in the words of both protocols: MLflow reads ``error_code`` and ``message``, the other ``error``."""
    text = f"{message} {hint}".strip()
    headers = {"Retry-After": COME_BACK[status]} if status in COME_BACK else None
    return answer_json({"error": text, "error_code": CODES[status], "message": text, **more}, status, headers)


def answer_known_error(error: EvermodelError) -> Response:
    """The answer to a request that cannot be carried out as it stands."""
    if isinstance(error, RowsRefused):
        told: dict[str, Any] = {"refused": list_refused(error.refused), "refused_rows": len(error.refused)}
        return answer_error(422, error.message, **told)
    if isinstance(error, TooManyRows):
        return answer_error(413, error.message, error.hint)
    return answer_error(422 if isinstance(error, ContractBroken) else 400, error.message, error.hint)
