"""Keras 3 models, and files of Keras 2 and 3; read without running any code from them."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting, EvermodelError, MissingExtra
from evermodel.core.model.channel_groups import Group
from evermodel.core.model.framework import Signature
from evermodel.core.model.model import Model
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.training import Training
from evermodel.core.model.triton_model import TritonModel
from evermodel.core.model.user_code import UserCode, read_code, write_code
from evermodel.core.plugins import Confidence
from evermodel.core.records.search_record import Values
from evermodel.plugins.frameworks._file_contents import HDF5, ZIP, first_bytes, zip_names
from evermodel.plugins.frameworks._keras.editing.embed_preprocessing import embed_preprocessing as embed_preprocessing
from evermodel.plugins.frameworks._keras.editing.embed_preprocessing import name_columns

logger = logging.getLogger(__name__)
EXTRA = "keras"
_FILE = "model.keras"
RAW_ROWS = (".keras",)  # files that can hold the preprocessing too: .h5 knows no operations, only layers


def is_model(obj: Any, /) -> bool:
    """Whether ``obj`` is a Keras model, also of a class of the user's own. Imports nothing."""
    return any(c.__module__.split(".")[0] == "keras" and c.__name__ == "Model" for c in type(obj).__mro__)


def recognize(path: Path, /) -> Confidence:
    """An HDF5 file or a zip archive with what Keras writes into it. A torn one is Keras's by its suffix."""
    from evermodel.plugins.frameworks._keras.reading import safe_archive

    start = first_bytes(path, safe_archive.HEAD)
    if start.startswith(HDF5):
        named = any(name in start for name in safe_archive.ATTRIBUTES)
        return (
            Confidence.CERTAIN if named else Confidence.POSSIBLE if path.suffix in (".h5", ".hdf5") else Confidence.NO
        )
    if start.startswith(ZIP):
        whole = zip_names(path) >= {"config.json", "model.weights.h5"}
        return Confidence.CERTAIN if whole else Confidence.POSSIBLE if path.suffix == ".keras" else Confidence.NO
    return Confidence.NO


def read_file(path: Path, /, *, trust: bool = False, factory: str | None = None) -> Any:
    """The model in a ``.h5`` or ``.keras`` of Keras 2 or 3, compiled as it was, optimizer memory included.

    No code of the file runs: it may name built-in classes only. With ``trust`` Keras's own loader is used
    instead, which runs whatever the file holds. Raises Unsafe, BadModel, or BadSetting for a ``factory``.
    """
    if factory is not None:
        raise BadSetting(
            f"Keras files hold their structure, so factory must be None. Got {factory!r}.", "Leave it out."
        )
    keras = _keras()
    from evermodel.plugins.frameworks._keras.reading import build_model, load_trusted

    return load_trusted.load_trusted(keras, path) if trust else build_model.read(path)


def read_with_code(path: Path, code: UserCode, /, *, trust: bool = False, factory: str | None = None) -> Any:
    """As ``read_file``; classes that ``code`` defines may be named too. Keras's own loader is never used."""
    from evermodel.plugins.frameworks._keras.reading import build_model

    if factory is not None:
        return read_file(path, factory=factory)
    _keras()
    return build_model.read(path, code)


def convert_with_code(obj: Any, code: UserCode, /) -> Any:
    """The same network with the classes of ``code`` in place of those that the process knows by these names."""
    with tempfile.TemporaryDirectory(prefix="evermodel-") as folder:
        write_file(obj, Path(folder) / _FILE)
        return read_with_code(Path(folder) / _FILE, code)


def find_user_code(obj: Any, /) -> UserCode | None:
    from evermodel.plugins.frameworks._keras.reading import own_classes

    return own_classes.find_user_code(obj)


def convert_object(obj: Any, /) -> Any:
    """The network itself; one whose words are not in its settings as it is read back from a file, where they are.

    Raises Unsafe for a Lambda layer, whose code no version could keep.
    """
    from evermodel.plugins.frameworks._keras.reading import allowed_config, vocabularies

    allowed_config.refuse_lambda(obj)
    if not vocabularies.lacks_vocabulary(obj):
        return obj
    with tempfile.TemporaryDirectory(prefix="evermodel-") as folder:
        obj.save(Path(folder) / _FILE)
        return read_file(Path(folder) / _FILE)


def write_file(obj: Any, to: Path, /) -> None:
    """Writes ``.keras`` or ``.h5`` that plain ``keras.models.load_model`` loads and can train on."""
    from evermodel.plugins.frameworks._keras.reading import write_files

    _keras()
    write_files.write(obj, to)


def write_saved_model(obj: Any, to: Path, /) -> None:
    """A SavedModel with the signature ``serving_default``, as TensorFlow Serving reads it."""
    keras = _keras()
    if keras.backend.backend() != "tensorflow":
        raise BadModel(
            f"A SavedModel is written with TensorFlow, and Keras runs on {keras.backend.backend()} here.",
            "Set KERAS_BACKEND=tensorflow.",
        )
    obj.export(str(to), format="tf_saved_model", verbose=False)


def write_triton(obj: Any, to: Path, /) -> TritonModel:
    """``model.savedmodel`` for its TensorFlow backend."""
    from evermodel.plugins.frameworks._keras import saved_model_tensors

    write_saved_model(obj, to / "model.savedmodel")
    inputs, outputs = saved_model_tensors.list_tensors(to / "model.savedmodel")
    return TritonModel("tensorflow", inputs, outputs, "tensorflow_savedmodel")


def suffixes() -> tuple[str, ...]:
    return (".keras", ".h5")


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_keras.py"


def plain_input(obj: Any, x: Any, /) -> Any:
    """The rows in the type of the model's input; of several inputs, or of one that is not flat, each by its name."""
    from evermodel.plugins.frameworks._keras import feeding

    if feeding.takes_text(obj) or isinstance(x, pl.DataFrame):
        return x
    rows = feeding.prepare_rows(obj, x)
    return rows if feeding.is_plain(obj) else feeding.name_parts(obj, rows)


def plain_answers(obj: Any, x: Any, /) -> Array:
    """What ``model.predict`` gives."""
    from evermodel.plugins.frameworks._keras import feeding

    if isinstance(x, pl.DataFrame) and not feeding.takes_text(obj):
        return np.asarray(obj(name_columns(obj, x), training=False))
    if isinstance(x, dict):
        kind = object if any(part.dtype == object for part in x.values()) else np.float64
        x = np.concatenate([np.asarray(part, kind).reshape(len(part), -1) for part in x.values()], axis=1)
    return predict(obj, x)


def plain_tensors(obj: Any, /) -> dict[str, list[int]]:
    return {}


def save(obj: Any, to: Path, /) -> None:
    """Saves into the folder ``to`` what ``load`` reads back bit by bit. Raises Unsafe if the model holds a Lambda."""
    from evermodel.plugins.frameworks._keras.reading import allowed_config, own_classes, write_files

    keras, code = _keras(), find_user_code(obj)
    with own_classes.use_code(code):
        allowed_config.model_config(keras.saving.serialize_keras_object(obj))
    write_files.write(obj, to / _FILE)
    write_code(code, to)


def load(at: Path, /) -> Any:
    """The model saved in the folder ``at``, by the same careful reader as a stranger's."""
    code = read_code(at)
    return read_file(at / _FILE) if code is None else read_with_code(at / _FILE, code)


def read_signature(obj: Any, /) -> Signature:
    """What the model's input, last activation and loss say. Raises BadModel for several outputs."""
    from evermodel.plugins.frameworks._keras.training import objective

    _check_built(obj)
    return objective.signature(obj)


def predict(obj: Any, x: Any, /) -> Array:
    """x (n, …) -> raw output (n, k) float32."""
    from evermodel.plugins.frameworks._keras import predict as predicting

    _check_built(obj)
    try:
        return predicting.predict(obj, x)
    except EvermodelError:
        raise
    except Exception as error:  # each backend has errors of its own
        said = str(error).strip().partition("\n")[0][:200]  # TensorFlow adds its call stack
        raise BadModel(f"The network cannot be run on these rows ({type(error).__name__}: {said}).") from error


def fit(obj: Any, x: Any, y: Array, training: Training, /, *, from_scratch: bool) -> Any:
    """A new model trained on x (n, …), y (n,); warm from the given weights and optimizer memory, or
    ``from_scratch``."""
    from evermodel.plugins.frameworks._keras.training import fit as fitting

    _check_built(obj)
    return fitting.fit(_floats(obj), x, y, training, from_scratch=from_scratch)


def get_weights(obj: Any, /) -> list[Array]:
    """Copies of all parameters, those learnt and those counted (BatchNormalization), in Keras's order."""
    return [w.copy() for w in _floats(obj).get_weights()]


def replace_weights(obj: Any, weights: Sequence[Array], /) -> Any:
    """A new model with these parameters; training settings as before, optimizer memory fresh."""
    from evermodel.plugins.frameworks._keras.editing import copy_model

    obj = _floats(obj)
    network = copy_model.clone(obj)
    copy_model.set_weights(network, list(weights))
    copy_model.compile_like(obj, network)
    return network


def count_steps(obj: Any, /) -> int | None:
    """How many gradient steps the optimizer has made, as its file remembers; None where it was never used."""
    optimizer = getattr(obj, "optimizer", None)
    network = 0 if optimizer is None else int(optimizer.iterations)
    return network or None


def widen(obj: Any, /, *, inputs: int, outputs: int) -> Any:
    """A new model with ``inputs`` columns and ``outputs`` classes or numbers; old rows are predicted as before."""
    from evermodel.plugins.frameworks._keras.editing import widen

    _check_built(obj)
    return widen.widen_network(_floats(obj), inputs=inputs, outputs=outputs)


def fold_input(obj: Any, scale: Array, offset: Array, /) -> Any:
    """A copy that predicts for x (n, d) what ``obj`` predicts for ``scale * x + offset``. Raises BadModel."""
    from evermodel.plugins.frameworks._keras.editing import fold_dense

    return fold_dense.fold_input(_floats(obj), scale, offset)


def fold_output(obj: Any, factor: float, shift: Array, /) -> Any:
    """A copy whose scores before the last activation are ``factor * score + shift``. Raises BadModel."""
    from evermodel.plugins.frameworks._keras.editing import fold_dense

    return fold_dense.fold_output(_floats(obj), factor, shift)


def get_hyperparameters(obj: Any, /) -> Values:
    from evermodel.plugins.frameworks._keras.editing import hyperparameters as tuning

    return tuning.hyperparameters(_floats(obj))


def list_dimensions(obj: Any, /) -> tuple[Dimension, ...]:
    from evermodel.plugins.frameworks._keras.editing import hyperparameters as tuning

    return tuning.dimensions(_floats(obj))


def replace_hyperparameters(obj: Any, values: Values, /) -> Any:
    """A newly initialised network of the same kind with other hyperparameters. Raises BadModel where it cannot be."""
    from evermodel.plugins.frameworks._keras.editing import hyperparameters as tuning

    return tuning.with_hyperparameters(_floats(obj), values)


def get_dense_layers(obj: Any, /) -> list[tuple[Array, Array]]:
    """(kernel (inputs, units), bias) of a network that is nothing but Dense layers, activations and Dropout."""
    from evermodel.plugins.frameworks._keras.editing import dense_layers

    return dense_layers.layers(_floats(obj))


def replace_dense_layers(obj: Any, layers: Sequence[tuple[Array, Array]], /) -> Any:
    """A new network of the same structure with these kernels and biases; optimizer memory fresh."""
    return replace_weights(obj, [part for layer in layers for part in layer])


def find_channel_groups(obj: Any, /) -> list[Group]:
    """Channels that can be taken out, each with what is coupled to it. Raises BadModel where there are none."""
    from evermodel.plugins.frameworks._keras.editing import prune_channels

    _check_built(obj)
    return prune_channels.find_channel_groups(_floats(obj))


def remove_channels(obj: Any, removed: Mapping[str, Array], /) -> Any:
    """A smaller network without these channels: group name -> positions."""
    from evermodel.plugins.frameworks._keras.editing import prune_channels

    return prune_channels.remove_channels(_floats(obj), removed)


def mask_channels(obj: Any, removed: Mapping[str, Array], /) -> Any:
    """The network in its old size with zeros for these channels' weights: no faster."""
    from evermodel.plugins.frameworks._keras.editing import prune_channels

    return prune_channels.mask_channels(_floats(obj), removed)


def predict_logits(obj: Any, x: Any, /) -> Array | None:
    """x (n, …) -> scores before the last sigmoid or softmax (n, k); None where the last layer does not show them."""
    from evermodel.plugins.frameworks._keras.editing import output_heads

    _check_built(obj)
    return output_heads.logits(_floats(obj), x)


def compute_input_gradient(obj: Any, x: Any, direction: Array, /) -> Array:
    """x (n, …), direction (n, k) like the raw output -> gradient of (direction * raw).sum() by x, like x."""
    from evermodel.plugins.frameworks._keras.training import input_gradients

    _check_built(obj)
    return input_gradients.input_gradient(_floats(obj), x, direction)


def join_models(models: Sequence[Model], shares: Sequence[float], names: Sequence[str], /) -> Model:
    """One network that predicts the weighted mean of the models' log odds or values, behind the first's transform."""
    from evermodel.plugins.frameworks._keras.editing import output_heads

    plain = [dataclasses.replace(m, obj=_floats(m.obj)) for m in models]
    return output_heads.join_models(plain, shares, names)


def quantise(obj: Any, share: float, /) -> Any:
    """A new network whose largest layers, ``share`` of the weights, are in 8 bits. Raises BadModel where none fits."""
    from evermodel.plugins.frameworks._keras.editing import quantize

    _check_built(obj)
    return quantize.quantise(obj, share)


def is_quantised(obj: Any, /) -> bool:
    from evermodel.plugins.frameworks._keras.editing import quantize

    return quantize.is_quantised(obj)


def _floats(obj: Any) -> Any:
    """The network, or its twin in floats where its weights are in 8 bits."""
    from evermodel.plugins.frameworks._keras.editing import quantize

    return quantize.floats(obj)


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
