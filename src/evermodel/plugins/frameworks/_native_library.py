"""Opens the library inside another Python package without importing the package, to predict with it alone.

LightGBM's and XGBoost's packages import scikit-learn, SciPy and pandas where they are installed, which takes ten times
as long as ten thousand predictions; their libraries need none of these.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import sys
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}  # elsewhere .so


@cache
def open_library(package: str, name: str, listen: str) -> ctypes.CDLL | None:
    """The library ``name`` in the folder ``lib`` of ``package``; None where it is not there or cannot be opened alone.

    ``listen`` is the library's function that takes a callback for its messages, which it would print otherwise.
    """
    spec = importlib.util.find_spec(package)  # imports nothing
    if spec is None or not spec.origin:
        return None
    file = Path(spec.origin).parent / "lib" / f"{name}{SUFFIXES.get(sys.platform, '.so')}"
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:  # the package may know of more places
        logger.debug("The library of %s is used through the package: %s.", package, error)
        return None
    getattr(library, listen)(LISTENER)
    return library


def _log(message: bytes) -> None:
    if text := message.decode(errors="replace").strip():
        logger.debug("%s", text)


LISTENER = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(_log)  # kept, since a library calls it as long as it is there
