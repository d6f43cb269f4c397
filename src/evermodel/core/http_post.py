"""POSTs a few bytes to an http or https address; nothing of the address but its host is ever shown."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from evermodel.core.errors import BadSetting, NotDelivered


class _Stays(urllib.request.HTTPRedirectHandler):
    """A redirect is refused: what was signed for one address is not for another."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float = 10.0) -> None:
    """Raises BadSetting for another kind of address, NotDelivered where the other side does not answer 2xx."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSetting("url must start with http:// or https:// and name a host.")
    where = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - seen above
    try:
        with urllib.request.build_opener(_Stays).open(request, timeout=timeout) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        raise NotDelivered(f"{where} answered {error.code} to a notice.", "Is the address right?") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NotDelivered(f"{where} did not take a notice ({reason}).", "Is it up?") from None
