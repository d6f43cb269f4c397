"""Secrets are named, never stored: "env:NAME" is an environment variable, "file:PATH" the first line of a file."""

from __future__ import annotations

import os
from pathlib import Path

from evermodel.core.errors import BadSetting
from evermodel.core.files import read_limited

LARGEST = 65_536  # bytes of a file that holds a secret


def read_secret(named: str, what: str) -> str:
    """The secret itself. Raises BadSetting, which never shows it; a secret written out is refused."""
    kind, _, where = named.partition(":")
    if kind == "env" and where:
        found = os.environ.get(where, "")
        if not found:
            raise BadSetting(f"{what} wants the environment variable {where}, which is not set.")
        return found
    if kind == "file" and where:
        try:
            lines = read_limited(Path(where).expanduser(), LARGEST).decode().splitlines()
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: ~ of nobody
            raise BadSetting(f"{what}: the file {where} cannot be read ({type(error).__name__}).") from None
        if not lines or not lines[0].strip():
            raise BadSetting(f"{what}: the file {where} is empty.")
        return lines[0].strip()
    raise BadSetting(
        f"{what} must be env:NAME or file:PATH: secrets are not stored.", "Put it into a variable or a file."
    )
