"""What ``trust`` names: the model file itself, whose pickle may run, and Python files with the user's own classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evermodel.core.code_trust import trust_files
from evermodel.core.errors import BadSetting
from evermodel.core.model.user_code import UserCode, read_user_code

Trust = str | Path | Sequence[str | Path] | None
MODULES = (".py",)


class Trusted(NamedTuple):
    """Whether the model file is trusted, and the Python files that are."""

    model: bool
    code: UserCode | None


def split_trust(trust: Trust, transform: Any) -> tuple[bool, Trust]:
    """Whether ``trust`` names the file of the transform, and what else it names."""
    if not isinstance(transform, (str, Path)) or trust is None or isinstance(trust, bool):
        return False, trust
    named = [trust] if isinstance(trust, (str, Path)) else list(trust)
    own = Path(transform).expanduser().resolve()
    others = [one for one in named if not (isinstance(one, (str, Path)) and Path(one).expanduser().resolve() == own)]
    return len(others) < len(named), others or None


def read_trust(trust: Trust, model: Path | None) -> Trusted:
    """What ``trust`` means for the model file ``model`` (None: a live object). Remembers the Python files it names.

    Raises BadSetting where it names anything else, NotFound for a Python file that is not there.
    """
    named = [trust] if isinstance(trust, (str, Path)) else [] if trust is None else trust
    if isinstance(named, bool) or not all(isinstance(one, (str, Path)) for one in named):
        raise BadSetting(f"`trust` names files, one or a list of them. Got {trust!r}.", "Write the path of the file.")
    files = [Path(one).expanduser() for one in named]
    others = [file for file in files if file.suffix not in MODULES]
    for file in others:
        if model is None or file.resolve() != model.resolve():
            taken = "a live object" if model is None else model.name
            raise BadSetting(
                f"`trust` names {str(file)[:200]!r}, which is no Python file and not the model ({taken}).",
                "Name the model file, the file of its transform, Python files that it needs, or all of them.",
            )
    code = read_user_code([file for file in files if file.suffix in MODULES])
    if code is not None:
        trust_files(code.digests().values())
    return Trusted(bool(others), code)
