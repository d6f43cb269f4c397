"""Who may ask a server of ours: beyond loopback only with a token, and on loopback only by its own names."""

from __future__ import annotations

import hmac
import ipaddress
from enum import Enum
from functools import lru_cache
from pathlib import Path

from evermodel.core.errors import AskedWrongly

SHORTEST_TOKEN = 16
LARGEST = 65_536  # bytes of a file that holds a token


class Access(Enum):
    """What a request's Host and Authorization headers come to."""

    ALLOWED = 200
    UNAUTHORIZED = 401  # the token is missing or another
    MISDIRECTED = 421  # asked under a foreign name, without a token


class AccessRule:
    """The rule of one server. Raises AskedWrongly for a host beyond this machine without a token."""

    def __init__(self, host: str, token: str, what: str) -> None:
        if not is_loopback(host) and not token:
            raise AskedWrongly(
                f"Beyond this machine (host {host}) {what} needs a token.",
                "Give one; on the command line as a file, which others cannot read off the list of processes.",
            )
        self.token = token
        self._expected = f"Bearer {token}".encode()

    def check(self, host: str, authorization: str) -> Access:
        """Whether a request with these headers is answered; both as latin-1, as HTTP servers decode them."""
        if not self.token:
            # A page in a browser could ask under a name of its own that was made to point here (DNS rebinding).
            return Access.ALLOWED if is_loopback(read_host(host)) else Access.MISDIRECTED
        given = authorization.encode("latin-1", "replace")
        return Access.ALLOWED if hmac.compare_digest(given, self._expected) else Access.UNAUTHORIZED


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_host(header: str) -> str:
    """The host of a Host header.

    Example:
        >>> read_host("localhost:9464"), read_host("[::1]:9464")
        ('localhost', '::1')
    """
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


def read_token(file: str | Path | None) -> str:
    """The token in a file; "" without one. Raises AskedWrongly where the file holds no token."""
    if file is None:
        return ""
    try:
        with Path(file).open("rb") as opened:  # a pipe too: --token-file <(command)
            token = opened.read(LARGEST).decode().strip()
    except (OSError, ValueError) as error:
        raise AskedWrongly(f"`token_file` cannot be read: {error}.", "Write the token into it.") from None
    if not token.isascii() or not token.isprintable() or len(token) < SHORTEST_TOKEN:
        raise AskedWrongly(
            f"`token_file` must hold at least {SHORTEST_TOKEN} printable ASCII characters. {file} does not.",
            "Make one: openssl rand -hex 32",
        )
    return token
