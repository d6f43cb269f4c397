"""What a file may say of weights in 8 bits: the one way that Keras writes by default, and nothing else."""

from __future__ import annotations

from typing import Any

from evermodel.core.errors import BadModel

QUANTISER: dict[str, Any] = {
    "module": "keras.quantizers",
    "class_name": "AbsMaxQuantizer",
    "config": {"value_range": [-127, 127], "epsilon": 1e-07, "output_dtype": "int8"},
    "registered_name": None,
}
CLASSES: dict[str, dict[str, Any]] = {  # name -> all that it may hold; handed on from here, never from the file
    "QuantizedDTypePolicy": {
        "module": "keras.dtype_policies",
        "config": {"mode": "int8", "source_name": "float32"},
    },
    "Int8QuantizationConfig": {
        "module": "keras.quantizers",
        "config": {"weight_quantizer": None, "activation_quantizer": QUANTISER},
    },
}


def check_int8_config(name: str, config: Any, where: str) -> dict[str, Any]:
    """Our own entry of that name, where the file says the same. Raises BadModel where it says anything else."""
    if _plain(config) != CLASSES[name]["config"]:
        raise BadModel(
            f"8-bit weights are read as Keras quantises by default (int8). Got another way at {where}.",
            "Quantise again with model.quantize('int8').",
        )
    return {**CLASSES[name], "class_name": name, "registered_name": None}


def _plain(value: Any) -> Any:
    """Tuples as lists, whichever way Keras spelt them."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return [_plain(v) for v in value.get("items") or value.get("config", {}).get("value", ())]
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
