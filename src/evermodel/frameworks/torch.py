"""PyTorch: ``.pt2`` programs, weights with a factory of the user's own, live modules.

A network is kept as data, a list of operators and its tensors, so that a version loads and trains anywhere without
the code it came from, and without running a stranger's. Dropout and batch norm live while training. Limits: one input
and one output; no control flow that hangs on values; regularisation written in a training loop is not known.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.channels import Group
from evermodel.core.errors import BadModel, MissingExtra, Unsafe
from evermodel.core.files import write_whole
from evermodel.core.framework import Needs
from evermodel.core.model import Model
from evermodel.core.space import Dimension, Values
from evermodel.core.table import Array
from evermodel.core.training import Training
from evermodel.frameworks._torch import archive, fitting, modules, predicting, pruning, tuning
from evermodel.frameworks._torch import widening as _widening
from evermodel.frameworks._torch.optimizing import STEPS, USUAL
from evermodel.frameworks._torch.program import Graph, Program

EXTRA = "torch"
WEIGHTS = (".safetensors", ".pt", ".pth")


def owns(obj: Any) -> bool:
    """Programs, modules, exported programs; not Keras models, which derive from modules when torch is behind them."""
    families = {t.__module__.split(".")[0] for t in type(obj).__mro__}
    module = any(t.__module__ == "torch.nn.modules.module" for t in type(obj).__mro__)
    exported = type(obj).__module__ == "torch.export.exported_program"
    return isinstance(obj, Program) or ((module or exported) and "keras" not in families)


def opens(path: Path) -> bool:
    return path.suffix in (".pt2", *WEIGHTS)


def suffixes() -> tuple[str, ...]:
    return (".pt2", ".safetensors")


def read(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A program from a ``.pt2``; weights need ``factory``, a pickled module ``trust``. Raises BadModel, Unsafe."""
    _torch()
    if path.suffix == ".pt2":
        return archive.read(path, path.name)
    if factory is None and not (trust and path.suffix != ".safetensors"):
        raise BadModel(
            f"{path.name} holds weights only: nothing says how the network is built.",
            "Name your own code: --factory module:function; or export it with torch.export to .pt2.",
        )
    found = _weights(path, trust)
    if hasattr(found, "state_dict") and hasattr(found, "forward"):
        return modules.from_module(found)
    if factory is None:
        raise BadModel(f"{path.name} holds a {type(found).__name__}, not a module.", "Give --factory module:function.")
    return modules.from_factory(factory, found)


def taken(obj: Any) -> Any:
    """A live module as it is kept; asking it again and again is then cheap."""
    return _program(obj)


def write(obj: Any, to: Path) -> None:
    """``.pt2`` for torch.export.load, or the weights as ``.safetensors``."""
    program = _program(obj)
    if to.suffix == ".safetensors":
        write_whole(to, lambda at: _safetensors().save_file(_separate(program.tensors), at))
        return
    exported = modules.to_exported(program)
    write_whole(to, lambda at: _torch().export.save(exported, at))


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


def needs(obj: Any) -> Needs:
    graph, classes = _program(obj).graph, _program(obj).classes
    activation = graph.last()[0]
    picture = predicting.is_picture(graph.shape)
    several = graph.width > 1
    return Needs(
        layout="image" if picture else "matrix",
        shape=predicting.picture_shape(graph.shape) if picture else graph.shape,
        task="multiclass" if graph.width > 2 else "binary" if several or activation else None,
        classes=classes,
        outputs=graph.width,
        output="probability" if activation else "logit" if several else None,
        network=True,
    )


def predict(obj: Any, x: Any) -> Array:
    """(n,), (n, 1) or (n, k) float32, raw; log-probabilities come out as probabilities."""
    program = _program(obj)
    return predicting.predict(program.graph, program.tensors, x)


def fit(obj: Any, x: Any, y: Array, training: Training, *, fresh: bool) -> Any:
    """By its own optimizer (AdamW where none is known), 1e-3 and ten epochs unless told.

    Not ``fresh``, it goes on with the optimizer's memory; ``fresh`` starts from new parameters drawn by
    their shapes. Same seed, same bits. Raises BadSetting, BadData.
    """
    return fitting.fit(_program(obj), x, y, training, fresh=fresh)


def weights(obj: Any) -> list[Array]:
    """The trainable parameters, in the program's order; running statistics are not among them."""
    program = _program(obj)
    return [program.tensors[key].numpy().copy() for key in program.trainable]


def with_weights(obj: Any, weights: Sequence[Array]) -> Any:
    program, torch = _program(obj), _torch()
    changed = dict(program.tensors)
    for key, new in zip(program.trainable, weights, strict=True):
        changed[key] = torch.from_numpy(np.array(new)).to(changed[key].dtype).reshape(changed[key].shape)
    return dataclasses.replace(program, tensors=changed, memory={})


def input_gradient(obj: Any, x: Any, direction: Array) -> Array:
    """x (n, …), direction like the raw output -> gradient of (direction * raw).sum() by x; tables only."""
    program = _program(obj)
    return predicting.input_gradient(program.graph, program.tensors, x, direction)


def widened(obj: Any, *, inputs: int, outputs: int) -> Any:
    """More columns or classes; rows known before are predicted as before, to 0.00005 of a probability."""
    return _widening.widened(_program(obj), inputs=inputs, outputs=outputs)


def hyperparameters(obj: Any) -> Values:
    return tuning.hyperparameters(_program(obj))


def dimensions(obj: Any) -> tuple[Dimension, ...]:
    return tuning.dimensions(_program(obj))


def with_hyperparameters(obj: Any, values: Values) -> Any:
    """A network of another structure with newly drawn parameters. Raises BadModel where it has no hidden stack."""
    return tuning.with_hyperparameters(_program(obj), values)


def layers(obj: Any) -> list[tuple[Array, Array]]:
    """(kernel (inputs, units), bias) of a network that is nothing but linear layers, activations and dropout."""
    program = _program(obj)
    return [(program.tensors[w].numpy().T.copy(), program.tensors[b].numpy().copy()) for w, b in tuning.chain(program)]


def with_layers(obj: Any, layers: Sequence[tuple[Array, Array]]) -> Any:
    program, torch = _program(obj), _torch()
    changed = dict(program.tensors)
    for (weight, bias), (kernel, shift) in zip(tuning.chain(program), layers, strict=True):
        changed[weight] = torch.from_numpy(np.ascontiguousarray(kernel.T)).to(changed[weight].dtype)
        changed[bias] = torch.from_numpy(np.array(shift)).to(changed[bias].dtype)
    return dataclasses.replace(program, tensors=changed, memory={})


def joined(models: Sequence[Model], shares: Sequence[float], names: Sequence[str]) -> Model:
    """One program that predicts the weighted mean of the models' log odds or values, behind the first's transform."""
    from evermodel.frameworks._torch import joining

    return joining.joined(models, [_program(m.obj) for m in models], shares, names)


def groups(obj: Any) -> list[Group]:
    """Channels that can be taken out, each with what is coupled to it. Raises BadModel where there are none."""
    return pruning.groups(_program(obj))


def without(obj: Any, removed: Mapping[str, Array]) -> Any:
    """A smaller program without these channels: group name -> positions."""
    return pruning.without(_program(obj), removed)


def masked(obj: Any, removed: Mapping[str, Array]) -> Any:
    """The program in its old size with zeros for these channels' weights: no faster."""
    return pruning.masked(_program(obj), removed)


def _program(obj: Any) -> Program:
    if isinstance(obj, Program):
        return obj
    _torch()
    if type(obj).__module__ == "torch.export.exported_program":
        return modules.from_exported(obj)
    return modules.from_module(obj)


def _weights(path: Path, trust: bool) -> Any:
    try:
        if path.suffix == ".safetensors":
            return _safetensors().load_file(path)
        return _torch().load(path, map_location="cpu", weights_only=not trust)
    except MissingExtra:
        raise
    except Exception as error:  # broken files fail in many ways, pickles in any
        if "weights_only" in str(error).lower() or "Unsupported" in str(error):
            raise Unsafe(
                f"{path.name} holds more than weights: loading it runs code that came with it.",
                f"If you made this file yourself: --trust {path}. Else save state_dict() as .safetensors.",
            ) from None
        raise BadModel(f"{path.name} cannot be read ({type(error).__name__}: {str(error)[:200]}).") from None


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
