"""A framework that trains the object it is given, instead of a new one."""

from __future__ import annotations

from typing import Any

from evermodel.core.arrays import Array
from evermodel.core.model.training import Training
from stranger_plugins import centroids as whole
from stranger_plugins.centroids import (  # noqa: F401
    EXTRA,
    Centroids,
    is_model,
    load,
    predict,
    read_file,
    read_signature,
    recognize,
    save,
    suffixes,
    write_file,
)


def fit(obj: Centroids, x: Any, y: Array, training: Training, /, *, from_scratch: bool) -> Centroids:
    """The centres of the given object move."""
    obj.centres[:] = whole.fit(obj, x, y, training, from_scratch=from_scratch).centres[: len(obj.centres)]
    return obj
