"""The inputs and outputs of a SavedModel, as the file itself names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core.model.triton_model import TritonTensor

# TensorFlow's name of a type -> Triton's.
DATA_TYPES = {
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    "bool": "BOOL",
    "string": "STRING",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def list_tensors(at: Path) -> tuple[tuple[TritonTensor, ...], tuple[TritonTensor, ...]]:
    """Inputs and outputs of the signature ``serving_default``."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(at)).signatures["serving_default"]
    return _describe(serve.structured_input_signature[1]), _describe(serve.structured_outputs)


def _describe(specs: Mapping[str, Any]) -> tuple[TritonTensor, ...]:
    return tuple(
        TritonTensor(
            name, DATA_TYPES[spec.dtype.name], tuple(-1 if size is None else int(size) for size in spec.shape[1:])
        )
        for name, spec in sorted(specs.items())
    )
