"""A first step of the user's own class that says nothing of its columns: whether it takes a frame or an array."""

from __future__ import annotations

import logging
from typing import Any

from evermodel.core.model.user_code import find_code, is_any_imported

logger = logging.getLogger(__name__)
TRIED_ROWS = 5


def find_own_start(obj: Any) -> Any:
    """The step that is given the rows, if it is of a user's own class and names no columns; else None.

    Such a step may take columns by name, so that the rows are handed over as a frame.
    """
    if not is_any_imported() or hasattr(obj, "feature_names_in_"):
        return None
    first = obj
    while hasattr(first, "steps"):
        first = next((step for _, step in first.steps if step is not None and not isinstance(step, str)), None)
    unnamed = not hasattr(first, "feature_names_in_") and not hasattr(first, "n_features_in_")
    return first if unnamed and find_code([first]) is not None else None


def takes_frame(step: Any, frame: Any) -> bool:
    """Whether a fitted step can use a few rows as a pandas frame: numpy's indices by position fail on one."""
    call = getattr(step, "transform", None) or step.predict
    try:
        call(frame.iloc[:TRIED_ROWS])
    except Exception:  # the user's own code: anything can be raised
        logger.debug("A %s takes no frame.", type(step).__name__, exc_info=True)
        return False
    return True
