"""Pickles: refused, because loading one runs whatever code is in it, unless the user trusts the file by name."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, EvermodelError, Unsafe
from evermodel.core.model.user_code import UserCode
from evermodel.core.plugins import Confidence
from evermodel.plugins.frameworks._file_contents import first_bytes

logger = logging.getLogger(__name__)

SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav")
PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # how a pickle of protocol 2 to 5 begins
HEAD = 256  # bytes of a pickle in which the class of its object is named


def is_pickle(path: Path) -> bool:
    """By the first bytes, or by the suffix: a compressed pickle does not begin as a pickle does."""
    return path.suffix in SUFFIXES or first_bytes(path, 2) in PROTOCOLS


def recognize_pickle(path: Path, package: str) -> Confidence:
    """CERTAIN where the first bytes of a pickle name a class of ``package``; nothing is loaded."""
    named = f"{package}.".encode() in first_bytes(path, HEAD)
    return Confidence.CERTAIN if is_pickle(path) and named else Confidence.NO


def load_trusted_pickle(
    path: Path, is_model: Callable[[Any], bool], *, trust: bool, expected: str, instead: str
) -> Any:
    """The object of a pickle that the user trusts. Raises Unsafe without ``trust``, BadModel for another object."""
    if not trust:
        raise Unsafe(
            f"{path.name} is a pickle: loading it runs whatever code is in it.",
            f"If you made this file yourself, name it as `trust`: {path}. Else {instead}.",
        )
    obj = load_pickle(path)
    if not is_model(obj):
        raise BadModel(f"{path.name} holds a {type(obj).__name__}, not {expected}.")
    return obj


def load_pickle(path: Path, code: UserCode | None = None) -> Any:
    """The object of a pickle that the user trusts: whatever code is in it runs. Raises BadModel where it fails.

    Classes that ``code`` defines are taken from there, also those that a script called its own.
    """
    makers: set[str] = set()
    try:
        import joblib

        own = contextlib.nullcontext() if code is None else code.in_use(as_main=True)
        with own, _collect_makers(makers):
            obj = joblib.load(path)
    except EvermodelError:
        raise
    except ModuleNotFoundError as error:
        logger.info("The pickle %s could not be loaded.", path, exc_info=True)
        raise BadModel(
            f"{path.name} needs the module {error.name!r}, which is not there.",
            f"Install the package; or, if it is your own module, name its file too: --trust {error.name}.py",
        ) from error
    except Exception as error:  # a pickle can fail in any way
        logger.info("The pickle %s could not be loaded.", path, exc_info=True)
        reason = next(iter(str(error).strip().splitlines()), "")[:200]
        raise BadModel(
            f"{path.name} cannot be unpickled ({type(error).__name__}: {reason}).",
            f"It {'was' if makers else 'may have been'} pickled by another version of its packages"
            f"{_name_makers(makers)}. Load it with that version, and save it in the framework's own format.",
        ) from error
    if makers:
        warnings.warn(
            f"{path.name} was pickled by another version of its packages{_name_makers(makers)}: it may answer "
            "otherwise here. Compare it with the deployed model's answers: --predictions.",
            stacklevel=2,
        )
    return obj


@contextlib.contextmanager
def _collect_makers(makers: set[str]) -> Iterator[None]:
    """Puts the versions of scikit-learn that wrote what is read inside into ``makers``; passes other warnings on."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            told = [(warning, getattr(warning.message, "original_sklearn_version", None)) for warning in seen]
            makers.update(version for _, version in told if version is not None)
    for warning, version in told:
        if version is None:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _name_makers(makers: set[str]) -> str:
    return f" (scikit-learn {', '.join(sorted(makers))})" if makers else ""
