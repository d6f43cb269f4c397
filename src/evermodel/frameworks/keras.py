"""Keras 3 models, and files of Keras 2 and 3; read without running any code from them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evermodel.core.channels import Group
from evermodel.core.errors import BadModel, BadSetting, MissingExtra
from evermodel.core.framework import Needs
from evermodel.core.model import Model
from evermodel.core.space import Dimension, Values
from evermodel.core.table import Array
from evermodel.core.training import Training

EXTRA = "keras"
_FILE = "model.keras"


def owns(obj: Any, /) -> bool:
    """Whether ``obj`` is a Keras model, also of a class of the user's own. Imports nothing."""
    return any(c.__module__.split(".")[0] == "keras" and c.__name__ == "Model" for c in type(obj).__mro__)


def opens(path: Path, /) -> bool:
    """Whether ``path`` is a Keras file by its suffix and its first bytes. Imports nothing."""
    from evermodel.frameworks._keras import sealed

    start = sealed.first_bytes(path)
    if path.suffix in (".h5", ".hdf5"):
        return start == sealed.HDF5
    return path.suffix == ".keras" and start.startswith(sealed.ZIP)


def read(path: Path, /, *, trust: bool = False, factory: str | None = None) -> Any:
    """The model in a ``.h5`` or ``.keras`` of Keras 2 or 3, compiled as it was, optimizer memory included.

    No code of the file runs: it may name built-in classes only. With ``trust`` Keras's own loader is used
    instead, which runs whatever the file holds. Raises Unsafe, BadModel, or BadSetting for a ``factory``.
    """
    if factory is not None:
        raise BadSetting(
            f"Keras files hold their structure, so factory must be None. Got {factory!r}.", "Leave it out."
        )
    keras = _keras()
    if trust:
        return keras.models.load_model(path, safe_mode=False)
    from evermodel.frameworks._keras import reading

    return reading.read(path)


def write(obj: Any, to: Path, /) -> None:
    """Writes ``.keras`` or ``.h5`` that plain ``keras.models.load_model`` loads and can train on."""
    from evermodel.frameworks._keras import writing

    _keras()
    writing.write(obj, to)


def suffixes() -> tuple[str, ...]:
    return (".keras", ".h5")


def save(obj: Any, to: Path, /) -> None:
    """Saves into the folder ``to`` what ``load`` reads back bit by bit. Raises Unsafe if the model holds a Lambda."""
    from evermodel.frameworks._keras import allowed, writing

    keras = _keras()
    allowed.model_config(keras.saving.serialize_keras_object(obj))
    writing.write(obj, to / _FILE)


def load(at: Path, /) -> Any:
    """The model saved in the folder ``at``, by the same careful reader as a stranger's."""
    return read(at / _FILE)


def needs(obj: Any, /) -> Needs:
    """What the model's input, last activation and loss say. Raises BadModel for several inputs or outputs."""
    from evermodel.frameworks._keras import objective

    _check_built(obj)
    return objective.needs(obj)


def predict(obj: Any, x: Any, /) -> Array:
    """x (n, …) -> raw output (n, k) float32."""
    from evermodel.frameworks._keras import predicting

    _check_built(obj)
    return predicting.predict(obj, x)


def fit(obj: Any, x: Any, y: Array, training: Training, /, *, fresh: bool) -> Any:
    """A new model trained on x (n, …), y (n,); warm from the given weights and optimizer memory, or ``fresh``."""
    from evermodel.frameworks._keras import fitting

    _check_built(obj)
    return fitting.fit(_floats(obj), x, y, training, fresh=fresh)


def weights(obj: Any, /) -> list[Array]:
    """Copies of all parameters, those learnt and those counted (BatchNormalization), in Keras's order."""
    return [w.copy() for w in _floats(obj).get_weights()]


def with_weights(obj: Any, weights: Sequence[Array], /) -> Any:
    """A new model with these parameters; training settings as before, optimizer memory fresh."""
    from evermodel.frameworks._keras import copying

    obj = _floats(obj)
    made = copying.clone(obj)
    copying.set_weights(made, list(weights))
    copying.compile_like(obj, made)
    return made


def steps(obj: Any, /) -> int | None:
    """How many gradient steps the optimizer has made, as its file remembers; None where it was never used."""
    optimizer = getattr(obj, "optimizer", None)
    made = 0 if optimizer is None else int(optimizer.iterations)
    return made or None


def widened(obj: Any, /, *, inputs: int, outputs: int) -> Any:
    """A new model with ``inputs`` columns and ``outputs`` classes or numbers; old rows are predicted as before."""
    from evermodel.frameworks._keras import widening

    _check_built(obj)
    return widening.widened(_floats(obj), inputs=inputs, outputs=outputs)


def hyperparameters(obj: Any, /) -> Values:
    from evermodel.frameworks._keras import tuning

    return tuning.hyperparameters(_floats(obj))


def dimensions(obj: Any, /) -> tuple[Dimension, ...]:
    from evermodel.frameworks._keras import tuning

    return tuning.dimensions(_floats(obj))


def with_hyperparameters(obj: Any, values: Values, /) -> Any:
    """A newly initialised network of the same kind with other hyperparameters. Raises BadModel where it cannot be."""
    from evermodel.frameworks._keras import tuning

    return tuning.with_hyperparameters(_floats(obj), values)


def layers(obj: Any, /) -> list[tuple[Array, Array]]:
    """(kernel (inputs, units), bias) of a network that is nothing but Dense layers, activations and Dropout."""
    from evermodel.frameworks._keras import layered

    return layered.layers(_floats(obj))


def with_layers(obj: Any, layers: Sequence[tuple[Array, Array]], /) -> Any:
    """A new network of the same structure with these kernels and biases; optimizer memory fresh."""
    return with_weights(obj, [part for layer in layers for part in layer])


def groups(obj: Any, /) -> list[Group]:
    """Channels that can be taken out, each with what is coupled to it. Raises BadModel where there are none."""
    from evermodel.frameworks._keras import pruning

    _check_built(obj)
    return pruning.groups(_floats(obj))


def without(obj: Any, removed: Mapping[str, Array], /) -> Any:
    """A smaller network without these channels: group name -> positions."""
    from evermodel.frameworks._keras import pruning

    return pruning.without(_floats(obj), removed)


def masked(obj: Any, removed: Mapping[str, Array], /) -> Any:
    """The network in its old size with zeros for these channels' weights: no faster."""
    from evermodel.frameworks._keras import pruning

    return pruning.masked(_floats(obj), removed)


def logits(obj: Any, x: Any, /) -> Array | None:
    """x (n, …) -> scores before the last sigmoid or softmax (n, k); None where the last layer does not show them."""
    from evermodel.frameworks._keras import heads

    _check_built(obj)
    return heads.logits(_floats(obj), x)


def input_gradient(obj: Any, x: Any, direction: Array, /) -> Array:
    """x (n, …), direction (n, k) like the raw output -> gradient of (direction * raw).sum() by x, like x."""
    from evermodel.frameworks._keras import gradients

    _check_built(obj)
    return gradients.input_gradient(_floats(obj), x, direction)


def joined(models: Sequence[Model], shares: Sequence[float], names: Sequence[str], /) -> Model:
    """One network that predicts the weighted mean of the models' log odds or values, behind the first's transform."""
    from evermodel.frameworks._keras import heads

    plain = [dataclasses.replace(m, obj=_floats(m.obj)) for m in models]
    return heads.joined(plain, shares, names)


def quantised(obj: Any, share: float, /) -> Any:
    """A new network whose largest layers, ``share`` of the weights, are in 8 bits. Raises BadModel where none fits."""
    from evermodel.frameworks._keras import quantising

    _check_built(obj)
    return quantising.quantised(obj, share)


def is_quantised(obj: Any, /) -> bool:
    from evermodel.frameworks._keras import quantising

    return quantising.is_quantised(obj)


def _floats(obj: Any) -> Any:
    """The network, or its twin in floats where its weights are in 8 bits."""
    from evermodel.frameworks._keras import quantising

    return quantising.floats(obj)


def _check_built(obj: Any) -> None:
    if not getattr(obj, "built", False) or not getattr(obj, "inputs", None):
        raise BadModel("The model must know the shape of its input.", "Add keras.Input(shape) as its first layer.")


def _keras() -> Any:
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _unheard():
            import keras
    except ImportError as error:
        raise MissingExtra.for_package(error.name or "keras", EXTRA, "Reading and training Keras models") from None
    return keras


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """TensorFlow greets on file descriptor 2 before its log level counts; a failing import raises all the same."""
    sys.stderr.flush()
    real = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(real, 2)
        os.close(real)
