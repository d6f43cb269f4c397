"""Predictions from XGBoost's own library, without its Python package.

The calls are those of the package's ``Booster`` and ``DMatrix`` (the documented C interface,
https://xgboost.readthedocs.io/en/stable/c.html), and so are the numbers.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel
from evermodel.plugins.frameworks._native_library import open_library

ALL_ROUNDS = {"training": False, "iteration_begin": 0, "iteration_end": 0, "strict_shape": False}
VALUES, MARGINS = 0, 1
Strings = ctypes.POINTER(ctypes.c_char_p)


class Predictor:
    """A booster that only predicts. Each thread has results of its own, as with the package."""

    def __init__(self, library: ctypes.CDLL, raw: bytes) -> None:
        self._library, self._handle = library, ctypes.c_void_p()
        self._call(BadModel, "XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(self._handle))
        self._call(BadModel, "XGBoosterLoadModelFromBuffer", self._handle, raw, ctypes.c_uint64(len(raw)))
        width = ctypes.c_uint64()
        self._call(BadModel, "XGBoosterGetNumFeature", self._handle, ctypes.byref(width))
        self.width = int(width.value)
        self.feature_names, self._types = self._read_strings(b"feature_name"), self._read_strings(b"feature_type")

    def __del__(self) -> None:
        if self._handle:
            self._library.XGBoosterFree(self._handle)

    def __reduce__(self) -> Any:
        raise TypeError("A predictor lives in the memory of XGBoost. Save the model, and load it anew.")

    def predict(self, x: Array, *, margins: bool = False) -> Array:
        """(n,) or (n, k) for rows (n, d), as ``xgboost.Booster.predict`` gives them."""
        rows = ctypes.c_void_p()
        x = np.ascontiguousarray(x, dtype=x.dtype if x.dtype in (np.float32, np.float64) else np.float32)
        place = {"data": (x.ctypes.data, True), "shape": x.shape, "typestr": x.dtype.str, "strides": None, "version": 3}
        table = json.dumps(place).encode(), json.dumps({"missing": float("nan"), "nthread": -1}).encode()
        self._call(BadData, "XGDMatrixCreateFromDense", *table, ctypes.byref(rows))
        try:
            self._name_types(rows)
            return self._predict_rows(rows, MARGINS if margins else VALUES)
        finally:
            self._library.XGDMatrixFree(rows)

    def _predict_rows(self, rows: ctypes.c_void_p, kind: int) -> Array:
        shape, axes = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        found = ctypes.POINTER(ctypes.c_float)()
        settings = json.dumps({"type": kind, **ALL_ROUNDS}).encode()
        results = ctypes.byref(shape), ctypes.byref(axes), ctypes.byref(found)
        self._call(BadData, "XGBoosterPredictFromDMatrix", self._handle, rows, settings, *results)
        sizes = tuple(int(shape[i]) for i in range(axes.value))
        if not all(sizes):
            return np.empty(sizes, dtype=np.float32)
        return np.ctypeslib.as_array(found, sizes).copy()  # the library uses the memory again

    def _name_types(self, rows: ctypes.c_void_p) -> None:
        """Says which columns of the rows are categories, where the booster says so of its own."""
        if self._types:
            types = (ctypes.c_char_p * len(self._types))(*(t.encode() for t in self._types))
            self._call(BadData, "XGDMatrixSetStrFeatureInfo", rows, b"feature_type", types, ctypes.c_uint64(len(types)))

    def _read_strings(self, field: bytes) -> list[str]:
        count, strings = ctypes.c_uint64(), Strings()
        places = ctypes.byref(count), ctypes.byref(strings)
        self._call(BadModel, "XGBoosterGetStrFeatureInfo", self._handle, field, *places)
        return [bytes(strings[i] or b"").decode() for i in range(count.value)]

    def _call(self, error: type[BadModel] | type[BadData], name: str, *arguments: Any) -> None:
        if getattr(self._library, name)(*arguments) == 0:
            return
        self._library.XGBGetLastError.restype = ctypes.c_char_p
        said = bytes(self._library.XGBGetLastError()).decode(errors="replace").split("\n", 1)[0][:300]
        raise error(f"XGBoost cannot {'read the model' if error is BadModel else 'use these rows'} ({said}).")


def load_predictor(raw: bytes) -> Predictor | None:
    """The booster of a model file; None where XGBoost's library is not to be found."""
    library = open_library("xgboost", "libxgboost", "XGBRegisterLogCallback")
    return None if library is None else Predictor(library, raw)
