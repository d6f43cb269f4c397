"""Pickles: refused, because loading one runs whatever code is in it, unless the user trusts the file by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, Unsafe

SUFFIXES = (".pkl", ".pickle", ".joblib")


def names_package(path: Path, package: str) -> bool:
    """Whether the first bytes of a pickle name a class of ``package``; nothing is loaded."""
    if path.suffix not in SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        return f"{package}.".encode() in file.read(64)


def unpickled(path: Path, owns: Callable[[Any], bool], *, trust: bool, wanted: str, instead: str) -> Any:
    """The object of a trusted pickle. Raises Unsafe without ``trust``, BadModel for anything but the ``wanted``."""
    if not trust:
        raise Unsafe(
            f"{path.name} is a pickle: loading it runs whatever code is in it.",
            f"If you made this file yourself: --trust {path}. Else {instead}.",
        )
    try:
        import joblib

        obj = joblib.load(path)
    except Exception as error:  # a pickle can fail in any way
        raise BadModel(f"{path.name} cannot be unpickled ({type(error).__name__}: {error}).") from None
    if not owns(obj):
        raise BadModel(f"{path.name} holds a {type(obj).__name__}, not {wanted}.")
    return obj
