"""Writes ``.h5`` files as Keras 2.15 wrote them, from a Keras 3 model of the same structure.

There is no Keras 2 here to write them: the layer settings below are spelled as Keras 2.15 spelled them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

CLASS = dict[str, Any]


def built_in(name: str, kind: str, **config: Any) -> CLASS:
    return {"module": f"keras.{kind}", "class_name": name, "config": config, "registered_name": None}


def dense(name: str, units: int, activation: str, **more: Any) -> CLASS:
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            **more,
            "units": units,
            "activation": activation,
            "use_bias": True,
            "kernel_initializer": built_in("GlorotUniform", "initializers", seed=None),
            "bias_initializer": built_in("Zeros", "initializers"),
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
        },
        "registered_name": None,
        "build_config": {"input_shape": [None, 4]},
    }


def batch_normalization(name: str) -> CLASS:
    return {
        "module": "keras.layers",
        "class_name": "BatchNormalization",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "axis": [1],
            "momentum": 0.99,
            "epsilon": 0.001,
            "center": True,
            "scale": True,
            "beta_initializer": built_in("Zeros", "initializers"),
            "gamma_initializer": built_in("Ones", "initializers"),
            "moving_mean_initializer": built_in("Zeros", "initializers"),
            "moving_variance_initializer": built_in("Ones", "initializers"),
            "beta_regularizer": None,
            "gamma_regularizer": None,
            "beta_constraint": None,
            "gamma_constraint": None,
        },
        "registered_name": None,
    }


def lstm(name: str, units: int) -> CLASS:
    return {
        "module": "keras.layers",
        "class_name": "LSTM",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "return_sequences": False,
            "return_state": False,
            "go_backwards": False,
            "stateful": False,
            "unroll": False,
            "time_major": False,
            "units": units,
            "activation": "tanh",
            "recurrent_activation": "sigmoid",
            "use_bias": True,
            "kernel_initializer": built_in("GlorotUniform", "initializers", seed=None),
            "recurrent_initializer": built_in("Orthogonal", "initializers", gain=1.0, seed=None),
            "bias_initializer": built_in("Zeros", "initializers"),
            "unit_forget_bias": True,
            "kernel_regularizer": None,
            "recurrent_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "recurrent_constraint": None,
            "bias_constraint": None,
            "dropout": 0.0,
            "recurrent_dropout": 0.0,
            "implementation": 2,
        },
        "registered_name": None,
    }


def depthwise(name: str) -> CLASS:
    return {
        "module": "keras.layers",
        "class_name": "DepthwiseConv2D",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "kernel_size": [3, 3],
            "strides": [1, 1],
            "padding": "valid",
            "data_format": "channels_last",
            "dilation_rate": [1, 1],
            "groups": 1,
            "activation": "relu",
            "use_bias": True,
            "bias_initializer": built_in("Zeros", "initializers"),
            "bias_regularizer": None,
            "activity_regularizer": None,
            "bias_constraint": None,
            "depth_multiplier": 2,
            "depthwise_initializer": built_in("GlorotUniform", "initializers", seed=None),
            "depthwise_regularizer": None,
            "depthwise_constraint": None,
        },
        "registered_name": None,
    }


def flatten(name: str) -> CLASS:
    config = {"name": name, "trainable": True, "dtype": "float32", "data_format": "channels_last"}
    return {"module": "keras.layers", "class_name": "Flatten", "config": config, "registered_name": None}


def sequential(layers: list[CLASS], shape: list[int | None]) -> CLASS:
    """As ``get_config`` of Keras 2: an InputLayer with ``batch_input_shape``, and the same on the first layer."""
    first = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": "first_input"}
    entry = {"module": "keras.layers", "class_name": "InputLayer", "config": first, "registered_name": None}
    layers[0]["config"]["batch_input_shape"] = shape
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": [entry, *layers]}}


def functional(layers: list[CLASS], shape: list[int | None]) -> CLASS:
    """The same chain as a Functional model, with the nested lists of ``inbound_nodes`` that Keras 2 wrote."""
    first = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": "first_input"}
    chain: list[CLASS] = [{"class_name": "InputLayer", "config": first, "name": "first_input", "inbound_nodes": []}]
    for layer in layers:
        inbound = [[[chain[-1]["name"], 0, 0, {}]]]
        chain.append({**layer, "name": layer["config"]["name"], "inbound_nodes": inbound})
    ends = {"input_layers": [["first_input", 0, 0]], "output_layers": [[chain[-1]["name"], 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "model", "trainable": True, "layers": chain, **ends}}


def training_config(learning_rate: float) -> CLASS:
    return {
        "loss": "binary_crossentropy",
        "metrics": [
            [
                {
                    "class_name": "MeanMetricWrapper",
                    "config": {"name": "accuracy", "dtype": "float32", "fn": "binary_accuracy"},
                }
            ]
        ],
        "weighted_metrics": None,
        "loss_weights": None,
        "optimizer_config": {
            "class_name": "Custom>Adam",
            "config": {
                "name": "Adam",
                "weight_decay": None,
                "clipnorm": None,
                "global_clipnorm": None,
                "clipvalue": None,
                "use_ema": False,
                "ema_momentum": 0.99,
                "ema_overwrite_frequency": None,
                "jit_compile": True,
                "is_legacy_optimizer": False,
                "learning_rate": learning_rate,
                "beta_1": 0.9,
                "beta_2": 0.999,
                "epsilon": 1e-07,
                "amsgrad": False,
            },
        },
    }


def write(path: Path, config: CLASS, model: Any, *, legacy_optimizer: bool = False) -> None:
    """Writes ``model``'s weights and Adam memory under ``config``, in the layout of Keras 2.15.

    With ``legacy_optimizer`` the memory is laid out as by Keras 2.10: ``Adam/dense/kernel/m:0``, all m first.
    """
    training = training_config(float(np.asarray(model.optimizer.learning_rate)))
    if legacy_optimizer:
        training["optimizer_config"]["class_name"] = "Adam"
        training["optimizer_config"]["config"]["decay"] = 0.0
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = "tensorflow"
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["training_config"] = json.dumps(training)
        _write_weights(file.create_group("model_weights"), model)
        _write_memory(file.create_group("optimizer_weights"), model, legacy_optimizer)


def _write_weights(group: Any, model: Any) -> None:
    group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
    group.attrs["keras_version"] = b"2.15.0"
    for layer in model.layers:
        inside = group.create_group(layer.name)
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
        named = [(f"{w.path.split('/', 1)[1]}:0", w) for w in weights]
        inside.attrs["weight_names"] = [n.encode() for n, _ in named]
        for name, weight in named:
            inside.create_dataset(name, data=np.asarray(weight))


def _write_memory(group: Any, model: Any, legacy: bool) -> None:
    step, _rate, *slots = model.optimizer.variables
    weights = [w.path.split("/", 1)[1] for w in model.trainable_variables]
    m = [(w, "m", s) for w, s in zip(weights, slots[0::2], strict=True)]
    v = [(w, "v", s) for w, s in zip(weights, slots[1::2], strict=True)]
    if legacy:
        named = [("training/Adam/iter:0", step), *((f"Adam/{w}/{k}:0", s) for w, k, s in [*m, *v])]
    else:
        pairs = [slot for pair in zip(m, v, strict=True) for slot in pair]
        named = [("iteration:0", step), *((f"Adam/{k}/{w}:0", s) for w, k, s in pairs)]
    group.attrs["weight_names"] = [n.encode() for n, _ in named]
    for name, value in named:
        group.create_dataset(name, data=np.asarray(value))
