"""Reads a file that the user trusts by name with Keras's own loader, which runs whatever the file holds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._keras.reading.build_model import warn_of_lost_training

logger = logging.getLogger(__name__)


def load_trusted(keras: Any, path: Path) -> Any:
    """The model by Keras's own loader; without its training settings where they name what is not there."""
    try:
        return keras.models.load_model(path, safe_mode=False)
    except Exception:  # whatever a part that is not there raises
        logger.info("Keras could not load %s as it was trained.", path, exc_info=True)
    try:
        model = keras.models.load_model(path, safe_mode=False, compile=False)
    except Exception as error:  # again
        logger.info("Keras could not load %s.", path, exc_info=True)
        reason = next(iter(str(error).strip().splitlines()), "")[:200]
        raise BadModel(
            f"Keras cannot load {path.name} ({type(error).__name__}: {reason}).",
            "The file holds no code of your own layers and functions: name the Python file that defines them too, "
            "`trust` FILE.py.",
        ) from error
    warn_of_lost_training("they name what is not there.")
    return model
