"""``POST /models/NAME/feedback``: labels that arrive later, joined to the predictions that the server logged."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from evermodel.core.data.logged_predictions import PREDICTION_ID
from evermodel.core.data.scan import reading
from evermodel.core.errors import AskedWrongly, EvermodelError, NotFound
from evermodel.registry.predictions.label import label
from evermodel.server.http_answers import answer_error, answer_json, answer_known_error
from evermodel.server.request_body import read_body
from evermodel.server.request_stream import BodyTooLarge, Headers, answer_late, read_media_type, read_stream
from evermodel.server.server_settings import ServerLimits

logger = logging.getLogger(__name__)


class FeedbackEndpoint:
    """Takes labels in, as ``evermodel label`` does. One body at a time is joined; predictions go on meanwhile."""

    def __init__(self, registry: str | Path | None, limits: ServerLimits) -> None:
        self.registry, self.limits = registry, limits
        self._turn = asyncio.Lock()

    async def take_labels(self, request: Request, name: str) -> Response:
        """The body: rows with the target and ``prediction_id``, in any form that predictions are asked in."""
        headers: Headers = dict(request.scope["headers"])
        media_type = read_media_type(headers)
        if isinstance(media_type, Response):
            return media_type
        try:
            body = await read_stream(headers, request.receive, self.limits)
            async with self._turn:
                return answer_json(await asyncio.to_thread(self._join, name, body, media_type))
        except BodyTooLarge as error:
            return answer_error(413, error.message, error.hint)
        except NotFound as error:
            return answer_error(404, error.message, error.hint)
        except AskedWrongly as error:
            return answer_known_error(error)
        except TimeoutError as error:
            return answer_late(error, self.limits.seconds)
        except EvermodelError:
            logger.exception("The labels of %s could not be joined.", name)
            return answer_error(503, "The labels could not be joined now.", "The server's log says more.")

    def _join(self, name: str, body: bytes, media_type: str) -> dict[str, Any]:
        rows = read_body(body, media_type, (PREDICTION_ID,), self.limits.rows)
        with reading("The body"):
            frame = pl.DataFrame(dict(rows.columns), strict=False) if rows.frame is None else rows.frame
        done = label(name, frame, registry=self.registry)
        return {"labels": done.labels, "joined": done.joined, "unmatched": done.unmatched, "unusable": done.unusable}
