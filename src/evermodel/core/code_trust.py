"""Which Python files a user trusts on this machine: by their SHA-256, so that a file that changed is another file.

Code that came in a folder or a backup of somebody else's does not run because it lies in a registry: it runs where
``--trust`` named a file of the same bytes before, or where ``EVERMODEL_TRUST`` names it now.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from evermodel.core.errors import Unsafe

VARIABLE = "EVERMODEL_TRUST"
logger = logging.getLogger(__name__)
_trusted_here: set[str] = set()  # by this process


def trust_files(digests: Iterable[str]) -> None:
    """Remembers that this user trusts files of these SHA-256; where the folder cannot be written, for this process."""
    for digest in digests:
        _trusted_here.add(digest)
        try:
            _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
            (_folder() / digest).touch(mode=0o600)
        except OSError:
            logger.warning("%s cannot be written: later commands need %s.", _folder(), VARIABLE, exc_info=True)


def check_trusted(digests: Mapping[str, str]) -> None:
    """Raises Unsafe for the first file, by name and SHA-256, that nobody trusted on this machine."""
    named: frozenset[str] | None = None
    for name, digest in digests.items():
        if digest in _trusted_here or (_folder() / digest).is_file():
            continue
        named = _read_variable() if named is None else named
        if digest not in named:
            raise Unsafe(
                f"The model needs {name} (SHA-256 {digest[:16]}…), which was not trusted on this machine.",
                f"If it is yours, name the file or its SHA-256: {VARIABLE}={name}, or {VARIABLE}={digest}.",
            )
        _trusted_here.add(digest)


def _read_variable() -> frozenset[str]:
    found = set()
    for part in os.environ.get(VARIABLE, "").split(os.pathsep):
        found.add(part.strip())
        with contextlib.suppress(OSError, ValueError):
            found.add(hashlib.sha256(Path(part.strip()).expanduser().read_bytes()).hexdigest())
    return frozenset(found)


def _folder() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or "")
    if not state.is_absolute():  # as its specification says; a stranger's folder that one stands in says nothing
        state = Path("~/.local/state").expanduser()
    return state / "evermodel" / "trusted"
