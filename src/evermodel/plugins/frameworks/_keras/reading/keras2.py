"""What Keras 1 and 2 wrote otherwise than Keras 3 reads: settings of layers, initializers, losses and optimizers."""

from __future__ import annotations

from typing import Any

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._keras.reading import builtin_classes

WRAPPED_FUNCTIONS = ("MeanMetricWrapper", "LossFunctionWrapper", "SumOverBatchSizeMetricWrapper")

_GONE: dict[str, tuple[Any, ...]] = {  # settings Keras 3 no longer has -> the values that meant nothing special
    "time_major": (False, None),
    "ragged": (False, None),
    "zero_output_for_mask": (False, True, None),
    "implementation": (0, 1, 2, None),
    "virtual_batch_size": (None,),
    "fused": (True, False, None),
    "adjustment": (None,),
    "jit_compile": (True, False, None),
    "is_legacy_optimizer": (True, False, None),
}
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")


def settings(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The settings of one object as Keras 3 takes them. Raises BadModel where a value has no Keras 3 meaning."""
    settings_kept = dict(config)
    for key in _GONE:
        _drop(settings_kept, key, name)
    if name in builtin_classes.INITIALIZERS:
        settings_kept.pop("dtype", None)
        if name.startswith(("Glorot", "He", "Lecun")):
            settings_kept = {k: v for k, v in settings_kept.items() if k == "seed"}
    if name in _DEPTHWISE:
        _only(settings_kept, "groups", 1, name)
        for side in ("initializer", "regularizer", "constraint"):  # Keras 2 wrote the unused kernel_* beside the others
            settings_kept.pop(f"kernel_{side}", None)
        settings_kept.pop("filters", None) if name.startswith("Depthwise") else None
    if name in ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"):
        _only(settings_kept, "groups", 1, name)
    if name == "BatchNormalization" and isinstance(settings_kept.get("axis"), list):
        settings_kept["axis"] = settings_kept["axis"][0]
    if name in ("GRU", "GRUCell"):  # which the oldest files do not say, and Keras 3 takes for True
        settings_kept.setdefault("reset_after", False)
    if name == "LeakyReLU" and "alpha" in settings_kept:
        settings_kept["negative_slope"] = settings_kept.pop("alpha")
    if name == "InputLayer":
        _input_layer(settings_kept)
    if name == "Sequential":
        settings_kept["layers"] = _with_input(settings_kept.get("layers", []))
    elif name == "Functional":
        _single_ends(settings_kept)
    elif "batch_input_shape" in settings_kept:
        settings_kept.pop("batch_input_shape")
    if "lr" in settings_kept:
        settings_kept["learning_rate"] = settings_kept.pop("lr")
    return settings_kept


def _drop(config: dict[str, Any], key: str, name: str) -> None:
    if key not in config:
        return
    value = config.pop(key)
    if not any(value is ok or value == ok for ok in _GONE[key]):
        raise BadModel(f"{name} has {key}={value!r}, which Keras 3 cannot do.", "Change the layer and save it again.")


def _only(config: dict[str, Any], key: str, value: Any, name: str) -> None:
    got = config.pop(key, value)
    if got != value:
        raise BadModel(f"{name} has {key}={got!r}, which Keras 3 cannot do.", "Change the layer and save it again.")


def _input_layer(config: dict[str, Any]) -> None:
    if "batch_input_shape" in config:
        config["batch_shape"] = config.pop("batch_input_shape")
    for key in ("sparse", "optional"):
        if not config.get(key, False):
            config.pop(key, None)


def _with_input(layers: Any) -> Any:
    """A Sequential model's layers with an InputLayer before them, if the first one carries its input's shape itself."""
    if not isinstance(layers, list) or not layers or not isinstance(layers[0], dict):
        return layers
    first = layers[0].get("config")
    if not isinstance(first, dict) or "batch_input_shape" not in first or layers[0].get("class_name") == "InputLayer":
        return layers
    given = {"batch_shape": first["batch_input_shape"], "name": f"{first.get('name', 'first')}_input"}
    if isinstance(first.get("dtype"), str):
        given["dtype"] = first["dtype"]
    return [{"class_name": "InputLayer", "config": given}, *layers]


def _single_ends(config: dict[str, Any]) -> None:
    """Keras 2 wrote a model's one input and one output as a list of one; to Keras 3 that is a model giving lists."""
    layers = [e for e in config.get("layers", ()) if isinstance(e, dict)]
    if not any(isinstance(node, list) for e in layers for node in e.get("inbound_nodes", ())):
        return
    for end in ("input_layers", "output_layers"):
        if isinstance(config.get(end), list) and len(config[end]) == 1 and isinstance(config[end][0], list):
            config[end] = config[end][0]
    _count_from_nought(config, {e.get("config", {}).get("name") for e in layers if e.get("class_name") == "Sequential"})


def _count_from_nought(config: dict[str, Any], builtin_classes: set[Any]) -> None:
    """A nested Sequential's own building was its first call to Keras 2, so its calls in a graph began with number 1."""
    for name in builtin_classes:
        calls = [*_calls(config.get("layers", []), name), *_calls(config.get("output_layers"), name)]
        first = min((call[1] for call in calls), default=0)
        for call in calls:
            call[1] -= first


def _calls(inbound_nodes: Any, name: Any) -> list[list[Any]]:
    """Every [name, number, output, …] inside ``told``."""
    if isinstance(inbound_nodes, dict):
        return _calls(inbound_nodes.get("inbound_nodes"), name)
    if not isinstance(inbound_nodes, list):
        return []
    if len(inbound_nodes) >= 3 and inbound_nodes[0] == name and isinstance(inbound_nodes[1], int):
        return [inbound_nodes]
    return [c for part in inbound_nodes for c in _calls(part, name)]


def compile_arguments(clean: dict[str, Any]) -> dict[str, Any]:
    """Optimizer, loss and metrics as Keras 3 takes them: ``reduction="auto"``, ``decay`` and nested metric lists go."""
    for key in ("loss", "metrics", "weighted_metrics"):
        clean[key] = _objective(clean[key])
    optimizer = clean["optimizer"]
    if isinstance(optimizer, dict):
        clean["optimizer"] = {**optimizer, "config": _optimizer(optimizer["config"])}
    return clean


def _objective(value: Any) -> Any:
    if isinstance(value, list):
        flat = [_objective(v) for v in value]
        return flat[0] if len(flat) == 1 and isinstance(flat[0], list) else flat  # Keras 2 wrapped metrics once more
    if isinstance(value, dict) and value.get("class_name") == "function":
        return value
    if isinstance(value, dict) and "class_name" in value:
        config = {k: v for k, v in value["config"].items() if k != "fn"}
        if config.get("reduction") == "auto":
            config["reduction"] = "sum_over_batch_size"
        return {**value, "config": config}
    if isinstance(value, dict):
        return {k: _objective(v) for k, v in value.items()}
    return value


def _optimizer(config: dict[str, Any]) -> dict[str, Any]:
    settings_kept = dict(config)
    decay = settings_kept.pop("decay", None)
    if decay and isinstance(
        settings_kept.get("learning_rate"), (int, float)
    ):  # lr / (1 + decay * step), as Keras 2 did it
        settings_kept["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": {"initial_learning_rate": settings_kept["learning_rate"], "decay_steps": 1, "decay_rate": decay},
            "registered_name": None,
        }
    if settings_kept.get("weight_decay") == 0:
        settings_kept["weight_decay"] = None
    return settings_kept
