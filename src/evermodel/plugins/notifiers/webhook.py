"""Posts notices as JSON, signed."""

from __future__ import annotations

import hashlib
import hmac
import time

from evermodel.core.http_post import post
from evermodel.core.notice import Notice
from evermodel.core.secrets import read_secret

__all__ = ["sign", "webhook"]


def webhook(notice: Notice, /, *, url: str, key: str = "", timeout: float = 10.0) -> None:
    """Posts the notice as JSON. With ``key`` (env:NAME or file:PATH) it is signed, so that its origin can be checked.

    ``X-Evermodel-Signature: sha256=HEX`` is the HMAC-SHA256 of ``TIMESTAMP.BODY`` with ``X-Evermodel-Timestamp`` (Unix
    seconds); receivers should refuse what is older than five minutes. ``Idempotency-Key`` is the same for the same
    notice. Redirects are not followed. Raises NotDelivered, BadSetting.
    """
    body, moment = notice.to_json().encode(), str(int(time.time()))
    once = hashlib.sha256(f"{notice.key}|{notice.level}".encode()).hexdigest()
    headers = {"Content-Type": "application/json", "X-Evermodel-Timestamp": moment, "Idempotency-Key": once}
    if key:
        headers["X-Evermodel-Signature"] = sign(read_secret(key, "key"), moment, body)
    post(url, body, headers, timeout=timeout)


def sign(key: str, moment: str, body: bytes) -> str:
    """What a receiver computes and compares, with ``hmac.compare_digest``."""
    return "sha256=" + hmac.new(key.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
