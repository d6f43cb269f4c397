"""Which process work in progress belongs to, and whether that process is gone."""

from __future__ import annotations

import os
import socket


def owner() -> str:
    """This process, as others can tell it: "host~pid"."""
    return f"{socket.gethostname()}~{os.getpid()}"


def is_gone(owner_text: str) -> bool:
    """Whether the owner was a process of this machine that no longer runs; of another machine's nothing is known."""
    host, _, rest = owner_text.partition("~")
    pid = rest.partition("~")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
