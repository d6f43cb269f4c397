"""Predictions from LightGBM's own library, without its Python package.

The calls are those of the package's ``Booster`` (the documented C interface,
https://lightgbm.readthedocs.io/en/stable/C-API.html), and so are the numbers.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._native_library import open_library

FLOAT32, FLOAT64 = 0, 1
NORMAL, FROM_FIRST, ALL_TREES = 0, 0, -1


class Predictor:
    """A booster that only predicts. Predictions of several threads at once are safe, as those of the package are."""

    def __init__(self, library: ctypes.CDLL, text: str) -> None:
        self._library, self._handle = library, ctypes.c_void_p()
        rounds = ctypes.c_int()
        found = library.LGBM_BoosterLoadModelFromString(text.encode(), ctypes.byref(rounds), ctypes.byref(self._handle))
        if found != 0:
            raise BadModel(f"LightGBM cannot read the model ({_last_error(library)}).")
        self.width, self.outputs = self._count("NumFeature"), self._count("NumClasses")

    def __del__(self) -> None:
        if self._handle:
            self._library.LGBM_BoosterFree(self._handle)

    def __reduce__(self) -> Any:
        raise TypeError("A predictor lives in the memory of LightGBM. Save the model, and load it anew.")

    def predict(self, x: Array) -> Array:
        """(n,) or (n, k) for rows (n, d), as ``lightgbm.Booster.predict`` gives them."""
        x = np.ascontiguousarray(x, dtype=x.dtype if x.dtype in (np.float32, np.float64) else np.float32)
        n, written = len(x), ctypes.c_int64()
        found = np.empty(n * self.outputs)
        self._call(
            "PredictForMat",
            x.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(FLOAT32 if x.dtype == np.float32 else FLOAT64),
            ctypes.c_int32(n),
            ctypes.c_int32(x.shape[1]),
            ctypes.c_int(True),  # row after row
            ctypes.c_int(NORMAL),
            ctypes.c_int(FROM_FIRST),
            ctypes.c_int(ALL_TREES),
            ctypes.c_char_p(b""),
            ctypes.byref(written),
            found.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        )
        if written.value != len(found):
            raise BadModel(f"LightGBM gave {written.value} numbers for {n} rows and {self.outputs} outputs.")
        return found if self.outputs == 1 else found.reshape(n, self.outputs)

    def _count(self, what: str) -> int:
        count = ctypes.c_int()
        self._call(f"Get{what}", ctypes.byref(count))
        return count.value

    def _call(self, name: str, *arguments: Any) -> None:
        if getattr(self._library, f"LGBM_Booster{name}")(self._handle, *arguments) != 0:
            raise BadModel(f"LightGBM cannot predict with the model ({_last_error(self._library)}).")


def load_predictor(text: str) -> Predictor | None:
    """The booster of a model file; None where LightGBM's library is not to be found."""
    library = open_library("lightgbm", "lib_lightgbm", "LGBM_RegisterLogCallback")
    return None if library is None else Predictor(library, text)


def _last_error(library: ctypes.CDLL) -> str:
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return bytes(library.LGBM_GetLastError()).decode(errors="replace")
