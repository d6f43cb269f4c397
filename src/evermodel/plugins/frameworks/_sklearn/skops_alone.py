"""skops, imported without PyTorch.

skops lists scikit-learn's estimators by importing every package of it. One of them is a layer over PyTorch, which
costs two seconds and 200 MB where PyTorch is installed. It holds no estimator, so it is passed over meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["skops"]
LAYER = "sklearn.externals.array_api_compat.torch"


@contextmanager
def pass_over(name: str) -> Iterator[None]:
    """An import of that module finds an empty one meanwhile; nothing is changed where it was imported before."""
    if name in sys.modules:
        yield
        return
    empty = ModuleType(name)
    sys.modules[name] = empty
    try:
        yield
    finally:
        if sys.modules.get(name) is empty:
            del sys.modules[name]


with pass_over(LAYER):
    import skops.io
