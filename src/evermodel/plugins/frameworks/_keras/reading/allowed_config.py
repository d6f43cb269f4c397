"""Turns a stranger's configuration into a clean one that names only listed built-in classes, or raises Unsafe.

Nothing of the given tree is handed on unseen: every object is rebuilt from its name and its cleaned settings, and
the module it is taken from comes from our own table, never from the file.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from evermodel.core.errors import BadModel, Unsafe
from evermodel.plugins.frameworks._keras.reading import builtin_classes, int8_config, keras2, own_classes

DEEPEST = 200  # levels of nesting; Keras's own files stay under 30
_OURS = re.compile(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.[A-Za-z0-9_]+)*|builtins")
_BY_KEY = {  # what kind of object stands under a setting's name
    "optimizer": "optimizer",
    "optimizer_config": "optimizer",
    "inner_optimizer": "optimizer",
    "learning_rate": "schedule",
    "loss": "loss",
    "metrics": "metric",
    "weighted_metrics": "metric",
}
_HINT = "If that is your own code, name the Python file that defines it: `trust` FILE.py."
LAMBDA_HINT = (
    "Put a built-in layer in its place, or a layer class of your own with the same weights around it, and name the "
    "Python file that defines the class: `trust` FILE.py."
)


class NotBuiltIn(Unsafe):
    """The file names what Keras does not have. Training settings can do without, a structure cannot."""


def model_config(config: Any) -> dict[str, Any]:
    """The clean configuration of a whole model: a Sequential or a Functional one. Raises Unsafe or BadModel."""
    if not isinstance(config, dict) or "class_name" not in config:
        raise BadModel("The file's model configuration must be an object with a class_name.", "Save the model again.")
    bare = {k: v for k, v in config.items() if k != "compile_config"}
    clean = _object(bare, "layer", "model", 0)
    own = own_classes.find_name(config) is not None
    if not isinstance(clean, dict) or (clean.get("class_name") not in builtin_classes.MODELS and not own):
        raise BadModel(
            f"The file must hold a Sequential or Functional model. Got {config['class_name']!r}.",
            "Wrap the layer in keras.Sequential and save it again.",
        )
    return clean


def training_config(config: dict[str, Any]) -> dict[str, Any]:
    """Clean arguments of ``compile``: optimizer, loss, metrics. Raises NotBuiltIn for a loss of one's own, Unsafe."""
    optimizer = config.get("optimizer", config.get("optimizer_config"))
    kept = {k: config.get(k) for k in ("loss", "loss_weights", "metrics", "weighted_metrics")}
    clean = {k: _value(v, _BY_KEY.get(k, ""), k, 0) for k, v in kept.items()}
    clean["optimizer"] = _value(optimizer, "optimizer", "optimizer", 0)
    for key in ("loss", "metrics", "weighted_metrics"):
        _only_known_words(clean[key], key)
    return keras2.compile_arguments(clean)


def _value(value: Any, kind: str, where: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise BadModel(f"The configuration is nested more than {DEEPEST} levels deep at {where}.", "Save it again.")
    if isinstance(value, dict):
        if "class_name" in value:
            return _object(value, kind, where, depth + 1)
        if "module" in value or "registered_name" in value:
            raise Unsafe(f"The configuration names a module without a class at {where}.", _HINT)
        return {str(k): _value(v, kind_of(str(k), kind), f"{where}.{k}", depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(v, kind, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise BadModel(f"The configuration holds a {type(value).__name__} at {where}.", "Save the model again.")


def kind_of(key: str, inherited: str) -> str:
    """The kind of object that stands under ``key``; ``inherited`` is that of the object around it."""
    for ending in ("initializer", "regularizer", "constraint"):
        if key == ending or key.endswith("_" + ending):
            return ending
    return _BY_KEY.get(key, inherited)


def _object(value: dict[str, Any], kind: str, where: str, depth: int) -> Any:
    name, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
    if not isinstance(name, str):
        raise BadModel(f"A class_name must be a word. Got {name!r} at {where}.", "Save the model again.")
    own = own_classes.find_name(value)
    if own is not None:
        return _own_object(own, value, where, depth)
    _refuse_foreign(name, module, registered, where)
    config = value.get("config")
    if name in _SPECIAL:
        return _special(name, value, where, depth)
    if name == "function" or (isinstance(config, str) and name not in builtin_classes.MODELS):
        return _function(config, where)
    if name in ("Policy", "DTypePolicy"):
        return _policy(config, where)
    if name in int8_config.CLASSES:
        return int8_config.check_int8_config(name, config, where)
    if (
        name.startswith("Custom>") and name[7:] in builtin_classes.OPTIMIZERS
    ):  # so Keras 2.11 to 2.15 named its own optimizers
        name = name[7:]
    inner = _settings(config, where)
    if name == "CuDNNGRU":
        inner = {**inner, "reset_after": True}
    name = builtin_classes.RENAMED.get(name, name)
    if name in keras2.WRAPPED_FUNCTIONS:
        return _function(inner.get("fn"), where)
    source, kind = _source(name, module, kind, where)
    _refuse_files(name, inner, where)
    clean = _value(keras2.settings(name, inner), kind, f"{where}.{inner.get('name', name)}", depth)
    entry = {"module": source, "class_name": name, "config": clean, "registered_name": None}
    if source.startswith("keras.src."):
        entry["registered_name"] = name
    for extra in ("name", "inbound_nodes"):  # a layer inside a Functional model says where its inputs come from
        if extra in value:
            entry[extra] = _value(value[extra], "", f"{where}.{extra}", depth)
    return entry


def _own_object(own: str, value: dict[str, Any], where: str, depth: int) -> Any:
    """A class or function of the user's own code, by the name under which Keras finds it; its settings are cleaned."""
    config = value.get("config")
    if not isinstance(config, dict):  # a function
        return {"module": None, "class_name": "function", "config": own, "registered_name": own}
    entry = {"module": None, "class_name": own, "config": _value(config, "", where, depth), "registered_name": own}
    for extra in ("name", "inbound_nodes", "build_config"):  # a subclassed layer or model is built from the last
        if extra in value:
            entry[extra] = _value(value[extra], "", f"{where}.{extra}", depth)
    return entry


def _refuse_foreign(name: str, module: Any, registered: Any, where: str) -> None:
    if name in ("Lambda", "__lambda__"):
        raise Unsafe(f"The file holds Python code: {name} at {where}.", LAMBDA_HINT)
    if module is not None and not (isinstance(module, str) and _OURS.fullmatch(module)):
        hostile = str(module).split(".")[0] in sys.stdlib_module_names  # no honest layer or loss lives there
        kind = Unsafe if hostile else NotBuiltIn
        raise kind(f"The file names the foreign module {module!r} (class {name!r}) at {where}.", _HINT)
    if registered is not None and (not isinstance(registered, str) or ">" in registered):
        raise NotBuiltIn(f"The file names the custom object {registered!r} at {where}.", _HINT)


def refuse_lambda(model: Any) -> None:
    """Raises Unsafe for a live network with a Lambda layer: its code is in no file that could be kept."""
    for layer in model._flatten_layers(include_self=False):
        if type(layer).__name__ == "Lambda":
            raise Unsafe(f"The network holds Python code: the Lambda layer {layer.name!r}.", LAMBDA_HINT)


def _source(name: str, module: str | None, kind: str, where: str) -> tuple[str, str]:
    """Module and kind of a listed class. The file's module and the place settle a double name."""
    if name in builtin_classes.MODELS:
        return builtin_classes.MODELS[name], "layer"
    for operations in ("numpy operation", "nn operation"):
        if module == builtin_classes.KINDS[operations][0] and name in builtin_classes.KINDS[operations][1]:
            return module, "layer"
    stated = {k for k, (source, _) in builtin_classes.KINDS.items() if source == module}
    for wanted in (*stated, kind or "layer", *(("layer",) if kind == "" else ())):
        source, known = builtin_classes.KINDS[wanted]
        if name in known:
            return source, wanted
    others = [k for k, (_, known) in builtin_classes.KINDS.items() if name in known and "operation" not in k]
    if len(others) == 1:
        return builtin_classes.KINDS[others[0]][0], others[0]
    raise NotBuiltIn(f"{name!r} at {where} is none of the built-in Keras classes that may be loaded.", _HINT)


def _settings(config: Any, where: str) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, list):  # Keras 1 and 2.0 wrote a Sequential model as a bare list of its layers
        return {"layers": config}
    if not isinstance(config, dict):
        raise BadModel(f"Settings must be an object. Got {type(config).__name__} at {where}.", "Save the model again.")
    return config


def _refuse_files(name: str, config: dict[str, Any], where: str) -> None:
    for key in ("vocabulary", "idf_weights", "filepath", "call_endpoint"):
        if isinstance(config.get(key), str):
            raise Unsafe(f"{name!r} at {where} would read the file {config[key]!r}.", _HINT)


def _function(config: Any, where: str) -> str:
    name = config.get("config") if isinstance(config, dict) else config
    own = own_classes.find_name({"class_name": "function", "config": name})
    if own is not None:
        return own
    if not isinstance(name, str) or name not in builtin_classes.FUNCTIONS:
        raise NotBuiltIn(f"The file names the function {name!r} at {where}, which is not a built-in one.", _HINT)
    return name


def _only_known_words(value: Any, where: str) -> None:
    """Refuses a bare word that is no built-in loss or metric."""
    if isinstance(value, str):
        built_in = builtin_classes.FUNCTIONS | builtin_classes.LOSSES | builtin_classes.METRICS
        if value not in built_in and own_classes.find_name({"class_name": "function", "config": value}) is None:
            raise NotBuiltIn(f"{value!r} at {where} is none of the built-in losses and metrics.", _HINT)
    elif isinstance(value, list):
        for item in value:
            _only_known_words(item, where)
    elif isinstance(value, dict) and "class_name" not in value:
        for item in value.values():
            _only_known_words(item, where)


def _policy(config: Any, where: str) -> str:
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str) or not re.fullmatch(r"(mixed_)?b?float(16|32|64)|u?int(8|16|32|64)|bool|string", name):
        raise BadModel(f"The precision {name!r} at {where} is not supported.", "Save the model in float32.")
    return name


_SPECIAL = ("__keras_tensor__", "__numpy__", "__ellipsis__", "__slice__", "__tuple__", "TensorShape", "__tensor__")


def _special(name: str, value: dict[str, Any], where: str, depth: int) -> Any:
    """Small values that JSON lacks: tuples, slices, arrays, the tensors between layers."""
    if name in ("__tuple__", "TensorShape"):
        return _value(value.get("items", []), "", where, depth)
    config = _settings(value.get("config"), where)
    clean = {k: _value(v, "", f"{where}.{k}", depth) for k, v in config.items()}
    return {"class_name": name, "config": clean}
