"""PyTorch: ``.pt2`` programs, weights with a factory of the user's own, live modules.

A network is kept as data, a list of operators and its tensors, so that a version loads and trains anywhere without
the code it came from, and without running a stranger's. Dropout and batch norm live while training. Limits: one
output; no control flow that hangs on values; regularisation written in a training loop is not known.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, MissingExtra, Unsafe
from evermodel.core.files import write_whole
from evermodel.core.model.channel_groups import Group
from evermodel.core.model.framework import Signature
from evermodel.core.model.model import Model
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.training import Training
from evermodel.core.model.triton_model import TritonModel
from evermodel.core.model.user_code import UserCode
from evermodel.core.plugins import Confidence
from evermodel.core.records.search_record import Values
from evermodel.plugins.frameworks._torch import fit as fitting
from evermodel.plugins.frameworks._torch import hyperparameters as tuning
from evermodel.plugins.frameworks._torch import modules, program_archive, prune_channels
from evermodel.plugins.frameworks._torch import predict as predicting
from evermodel.plugins.frameworks._torch import widen as _widening
from evermodel.plugins.frameworks._torch.file_format import (
    FORMAT_OF_SUFFIX,
    FileFormat,
    file_format,
    names_foreign_code,
)
from evermodel.plugins.frameworks._torch.optimizer_steps import STEPS, USUAL
from evermodel.plugins.frameworks._torch.program import (
    Graph,
    Program,
    cut_arguments,
    is_picture,
    picture_shape,
    run_arguments,
)

EXTRA = "torch"
logger = logging.getLogger(__name__)

WEIGHTS = (".safetensors", ".pt", ".pth")
TRAINING_FILES = ("optimizer.safetensors",)


def is_model(obj: Any) -> bool:
    """Programs, modules, exported programs; not Keras models, which derive from modules when torch is behind them."""
    families = {t.__module__.split(".")[0] for t in type(obj).__mro__}
    module = any(t.__module__ == "torch.nn.modules.module" for t in type(obj).__mro__)
    exported = type(obj).__module__ == "torch.export.exported_program"
    return isinstance(obj, Program) or ((module or exported) and "keras" not in families)


def recognize(path: Path, /) -> Confidence:
    """An archive of torch.export or torch.save, safetensors, or by its suffix a file of the old format."""
    if file_format(path) is not None:
        return Confidence.CERTAIN
    return Confidence.POSSIBLE if path.suffix in (".pt2", *WEIGHTS) else Confidence.NO


def suffixes() -> tuple[str, ...]:
    return (".pt2", ".safetensors")


def read_file(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A program from a ``.pt2``; weights need ``factory``, a pickled module ``trust``. Raises BadModel, Unsafe."""
    _torch()
    kind = file_format(path) or FORMAT_OF_SUFFIX.get(path.suffix, FileFormat.PICKLE)
    if kind is FileFormat.PROGRAM:
        return program_archive.read(path, path.name)
    if kind is FileFormat.SCRIPT:
        raise BadModel(
            f"{path.name} is TorchScript: a graph for answering, without the module that could be trained.",
            "Where the module's code is: torch.export.save(torch.export.export(module, (example,)), 'model.pt2').",
        )
    if kind is FileFormat.PICKLE and not trust and factory is None:
        _refuse_foreign_code(path)
    if factory is None and not (trust and kind is FileFormat.PICKLE):
        raise BadModel(
            f"{path.name} holds weights only: nothing says how the network is built.",
            "Name your own code as `factory`, MODULE:FUNCTION; or export it with torch.export to .pt2.",
        )
    found = _weights(path, kind, trust)
    if hasattr(found, "state_dict") and hasattr(found, "forward"):
        return modules.from_module(found)
    if factory is None:
        raise BadModel(
            f"{path.name} holds a {type(found).__name__}, not a module.",
            "Name your own code as `factory`, MODULE:FUNCTION.",
        )
    return modules.from_factory(factory, found)


def read_with_code(path: Path, code: UserCode, /, *, trust: bool = False, factory: str | None = None) -> Any:
    """As ``read_file``; a factory, and the classes of a trusted module, are found in the user's files first.

    What is kept is the exported program, which needs none of these files.
    """
    with code.in_use(as_main=True):
        return read_file(path, trust=trust, factory=factory)


def convert_with_code(obj: Any, code: UserCode, /) -> Any:
    """The program of a live module: it needs no code."""
    return _program(obj)


def find_user_code(obj: Any, /) -> UserCode | None:
    return None  # a program is data


def convert_object(obj: Any) -> Any:
    """A live module as it is kept; asking it again and again is then cheap."""
    return _program(obj)


def native_object(obj: Any) -> Any:
    """The network as a ``torch.nn.Module`` in evaluation mode, made from the kept program."""
    return modules.to_exported(_program(obj)).module()


def write_file(obj: Any, to: Path) -> None:
    """``.pt2`` for torch.export.load, or the weights as ``.safetensors``."""
    program = _program(obj)
    if to.suffix == ".safetensors":
        write_whole(to, lambda at: _safetensors().save_file(_separate(program.tensors), at))
        return
    exported = modules.to_exported(program)
    write_whole(to, lambda at: _torch().export.save(exported, at))


def write_triton(obj: Any, to: Path) -> TritonModel:
    """``model.pt``, the network as TorchScript, for its PyTorch backend: it gives what the module itself gives."""
    from evermodel.plugins.frameworks._torch import torchscript

    inputs, answers = torchscript.write(_program(obj), to / "model.pt")
    return TritonModel("pytorch", inputs, (answers,), "pytorch_libtorch")


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_torch.py"


def plain_input(obj: Any, x: Any) -> Any:
    """The rows as the module takes them: pictures with the channels first; of several arguments each by its name."""
    graph = _program(obj).graph
    rows = predicting.rows_of(graph, x)
    if not graph.arguments:
        return rows.numpy()
    return {name: part.numpy() for name, part in cut_arguments(graph, rows).items()}


def plain_answers(obj: Any, x: Any) -> Array:
    """What the module gives, before anything is made of it."""
    program = _program(obj)
    parts = x if isinstance(x, dict) else {program.graph.x: x}
    given = {name: _torch().from_numpy(part) for name, part in parts.items()}
    with _torch().no_grad():
        return np.asarray(run_arguments(program.graph, program.tensors, given, training=False).numpy())


def plain_tensors(obj: Any) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in _program(obj).tensors.items()}


def save(obj: Any, to: Path) -> None:
    program = _program(obj)
    (to / "graph.json").write_text(program.graph.to_json())
    beside = {"trainable": program.trainable, "classes": program.classes, "optimizer": program.optimizer}
    (to / "model.json").write_text(json.dumps(beside))
    _safetensors().save_file(_separate(program.tensors), to / "weights.safetensors")
    if program.memory:
        _safetensors().save_file(_separate(program.memory), to / "optimizer.safetensors")


def load(at: Path) -> Any:
    read_tensors, memory = _safetensors().load_file, at / "optimizer.safetensors"
    beside = json.loads((at / "model.json").read_text())
    return Program(
        graph=Graph.from_json((at / "graph.json").read_text()),
        tensors=read_tensors(at / "weights.safetensors"),
        trainable=tuple(beside["trainable"]),
        classes=None if beside["classes"] is None else tuple(beside["classes"]),
        memory=read_tensors(memory) if memory.exists() else {},
        optimizer=beside.get("optimizer", USUAL) if beside.get("optimizer", USUAL) in STEPS else USUAL,
    )


def read_signature(obj: Any) -> Signature:
    graph, classes = _program(obj).graph, _program(obj).classes
    inputs = predicting.list_tensors(graph, _program(obj).tensors)
    shape = (math.prod(graph.shape),) if inputs else graph.shape
    activation = graph.last()[0]
    picture = is_picture(graph.shape)
    several = graph.width > 1
    return Signature(
        layout="image" if picture else "matrix",
        shape=picture_shape(graph.shape) if picture else shape,
        inputs=inputs,
        task="multiclass" if graph.width > 2 else "binary" if several or activation else None,
        classes=classes,
        outputs=graph.width,
        output="probability" if activation else "logit" if several else None,
        network=True,
        pretrained=_program(obj).graph.represents(),
    )


def predict(obj: Any, x: Any) -> Array:
    """(n,), (n, 1) or (n, k) float32, raw; log-probabilities come out as probabilities."""
    program = _program(obj)
    return predicting.predict(program.graph, program.tensors, x)


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """By its own optimizer (AdamW where none is known), 1e-3 and ten epochs unless told.

    Not ``from_scratch``, it goes on with the optimizer's memory; ``from_scratch`` starts from new parameters drawn by
    their shapes. Same seed, same bits. Raises BadSetting, BadData.
    """
    return fitting.fit(_program(obj), x, y, training, from_scratch=from_scratch)


def get_weights(obj: Any) -> list[Array]:
    """The trainable parameters, in the program's order; running statistics are not among them."""
    program = _program(obj)
    return [program.tensors[key].numpy().copy() for key in program.trainable]


def replace_weights(obj: Any, weights: Sequence[Array]) -> Any:
    program, torch = _program(obj), _torch()
    changed = dict(program.tensors)
    for key, new in zip(program.trainable, weights, strict=True):
        changed[key] = torch.from_numpy(np.array(new)).to(changed[key].dtype).reshape(changed[key].shape)
    return dataclasses.replace(program, tensors=changed, memory={})


def compute_input_gradient(obj: Any, x: Any, direction: Array) -> Array:
    """x (n, …), direction like the raw output -> gradient of (direction * raw).sum() by x; tables only."""
    program = _program(obj)
    return predicting.input_gradient(program.graph, program.tensors, x, direction)


def widen(obj: Any, *, inputs: int, outputs: int) -> Any:
    """More columns or classes; rows known before are predicted as before, to 0.00005 of a probability."""
    return _widening.widen_program(_program(obj), inputs=inputs, outputs=outputs)


def fold_input(obj: Any, scale: Array, offset: Array) -> Any:
    """A copy that predicts for x (n, d) what ``obj`` predicts for ``scale * x + offset``. Raises BadModel."""
    from evermodel.plugins.frameworks._torch import fold_linear

    return fold_linear.fold_input(_program(obj), scale, offset)


def fold_output(obj: Any, factor: float, shift: Array) -> Any:
    """A copy whose scores before the last activation are ``factor * score + shift``. Raises BadModel."""
    from evermodel.plugins.frameworks._torch import fold_linear

    return fold_linear.fold_output(_program(obj), factor, shift)


def get_hyperparameters(obj: Any) -> Values:
    return tuning.hyperparameters(_program(obj))


def list_dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.dimensions(_program(obj))


def replace_hyperparameters(obj: Any, values: Values) -> Any:
    """A network of another structure with newly drawn parameters. Raises BadModel where it has no hidden stack."""
    return tuning.with_hyperparameters(_program(obj), values)


def get_dense_layers(obj: Any) -> list[tuple[Array, Array]]:
    """(kernel (inputs, units), bias) of a network that is nothing but linear layers, activations and dropout."""
    program = _program(obj)
    return [(program.tensors[w].numpy().T.copy(), program.tensors[b].numpy().copy()) for w, b in tuning.chain(program)]


def replace_dense_layers(obj: Any, layers: Sequence[tuple[Array, Array]]) -> Any:
    program, torch = _program(obj), _torch()
    changed = dict(program.tensors)
    for (weight, bias), (kernel, shift) in zip(tuning.chain(program), layers, strict=True):
        changed[weight] = torch.from_numpy(np.ascontiguousarray(kernel.T)).to(changed[weight].dtype)
        changed[bias] = torch.from_numpy(np.array(shift)).to(changed[bias].dtype)
    return dataclasses.replace(program, tensors=changed, memory={})


def join_models(models: Sequence[Model], shares: Sequence[float], names: Sequence[str]) -> Model:
    """One program that predicts the weighted mean of the models' log odds or values, behind the first's transform."""
    from evermodel.plugins.frameworks._torch import join_programs

    return join_programs.join_programs(models, [_program(m.obj) for m in models], shares, names)


def find_channel_groups(obj: Any) -> list[Group]:
    """Channels that can be taken out, each with what is coupled to it. Raises BadModel where there are none."""
    return prune_channels.find_channel_groups(_program(obj))


def remove_channels(obj: Any, removed: Mapping[str, Array]) -> Any:
    """A smaller program without these channels: group name -> positions."""
    return prune_channels.remove_channels(_program(obj), removed)


def mask_channels(obj: Any, removed: Mapping[str, Array]) -> Any:
    """The program in its old size with zeros for these channels' weights: no faster."""
    return prune_channels.mask_channels(_program(obj), removed)


def _program(obj: Any) -> Program:
    if isinstance(obj, Program):
        return obj
    _torch()
    if type(obj).__module__ == "torch.export.exported_program":
        return modules.from_exported(obj)
    return modules.from_module(obj)


def _refuse_foreign_code(path: Path) -> None:
    if names_foreign_code(path):
        raise Unsafe(
            f"{path.name} holds more than weights: loading it runs code that came with it.",
            f"If you made this file yourself, name it as `trust`: {path}; and the Python file of its module, "
            "unless that is installed. Else save state_dict() as .safetensors.",
        )


def _weights(path: Path, kind: FileFormat, trust: bool) -> Any:
    if kind is FileFormat.PICKLE and not trust:
        _refuse_foreign_code(path)
    try:
        if kind is FileFormat.SAFETENSORS:
            return _safetensors().load_file(path)
        return _torch().load(path, map_location="cpu", weights_only=not trust)
    except MissingExtra:
        raise
    except ModuleNotFoundError as error:
        raise BadModel(
            f"{path.name} needs the module {error.name!r}, which is not there.",
            f"Install the package; or, if it is your own module, name its file too: `trust` {error.name}.py",
        ) from error
    except Exception as error:  # broken files fail in many ways, pickles in any
        logger.info("The weights in %s could not be read.", path, exc_info=True)
        raise BadModel(f"{path.name} cannot be read ({type(error).__name__}: {str(error)[:200]}).") from error


def _separate(tensors: Any) -> dict[str, Any]:
    """Each tensor with memory of its own, as the format wants it."""
    return {key: value.detach().clone().contiguous() for key, value in tensors.items()}


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise MissingExtra.for_package("safetensors", EXTRA, "A PyTorch model") from None
    return safetensors.torch


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtra.for_package("torch", EXTRA, "A PyTorch model") from None
    return torch
