"""Takes the body of a request in, within the limits of size and time, and says what kind of body it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive

from evermodel.core.errors import AskedWrongly, BadData
from evermodel.server.checked_rows import SHOWN
from evermodel.server.http_answers import answer_error
from evermodel.server.request_body import JSON, MEDIA_TYPES
from evermodel.server.server_settings import ServerLimits

Headers = Mapping[bytes, bytes]


class BodyTooLarge(AskedWrongly):
    """The body of a request is larger than the server reads."""


class HungUp(AskedWrongly):
    """The client ended the connection before its body had arrived."""


class SlowBody(TimeoutError):
    """The body of a request did not arrive in time."""


def read_media_type(headers: Headers) -> str | Response:
    """What kind of body it is, JSON where it is not said; the answer 415 where it is none that is read."""
    given = headers.get(b"content-type")
    if given is None or given == b"application/json":
        return JSON
    media_type = given.decode("latin-1").partition(";")[0].strip().lower()
    if media_type in MEDIA_TYPES:
        return media_type
    return answer_error(415, f"The body must be one of {', '.join(MEDIA_TYPES)}. Got {media_type[:SHOWN]!r}.")


async def read_stream(headers: Headers, receive: Receive, limits: ServerLimits) -> bytes:
    """The body. Raises BodyTooLarge before more is held than allowed; SlowBody, HungUp when it takes too long."""
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise BadData("The body is compressed, and this server reads bodies as they are.", "Send it uncompressed.")
    most = limits.body_bytes
    said = headers.get(b"content-length", b"")
    if said and (not said.isdigit() or int(said) > most):
        raise _too_large(most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HungUp("The client hung up.")
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        raise SlowBody from None


def answer_late(error: TimeoutError, seconds: float) -> Response:
    """The answer where the body, or the work on it, took too long."""
    if isinstance(error, SlowBody):
        return answer_error(408, f"The body did not arrive within {seconds:g} s.")
    return answer_error(503, f"There was no answer within {seconds:g} s.", "Come back.")


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"A body may have at most {most:,} bytes.", "Send the rows in parts.")
