"""Between live modules and programs; modules are the user's own code, asked for by name."""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, NotFound
from evermodel.frameworks._torch import archive
from evermodel.frameworks._torch.program import Program, run

SIDES = (28, 32, 64, 96, 128, 224)  # pictures tried where a module does not say


def from_module(module: Any) -> Program:
    """Exports a module with a free number of rows (or, if it insists, a fixed one). The module is left as it was.

    What it takes is its ``example_input_array`` if it has one, else guessed from its first layer. Costs seconds: the
    first export of a process loads PyTorch's tracer.
    """
    import torch

    modes = [(part, part.training) for part in module.modules()]
    devices = {p.device.type for p in module.parameters()}
    if devices - {"cpu"}:
        raise BadModel("The module is on a GPU.", "Move it first: module.cpu().")
    last: Exception | None = None
    try:
        module.eval()
        for example in _examples(module):
            for free in ({0: torch.export.Dim.DYNAMIC}, {}):
                try:
                    made = torch.export.export(module, (example,), dynamic_shapes=(free,), strict=False)
                    return from_exported(made)
                except BadModel:
                    raise
                except Exception as error:  # the module's own code runs here: anything can be raised
                    last = error
    finally:
        for part, mode in modes:
            part.training = mode
    said = "" if last is None else f" ({type(last).__name__}: {str(last).strip().splitlines()[0][:200]})"
    raise BadModel(
        f"{type(module).__name__} cannot be exported{said}.",
        "Set module.example_input_array to a batch of two rows, or give a .pt2 of torch.export.",
    )


def from_exported(exported: Any) -> Program:
    """A program from torch.export, by way of its archive."""
    import torch

    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    buffer.seek(0)
    return archive.read(buffer, "The exported program")


def _examples(module: Any) -> list[Any]:
    import torch

    given = getattr(module, "example_input_array", None)
    if given is not None:
        return [given if len(given) > 1 else torch.cat([given, given])]
    for part in module.modules():
        if isinstance(part, torch.nn.Linear):
            return [torch.zeros(2, part.in_features)]
        if isinstance(part, torch.nn.Conv2d):
            return [torch.zeros(2, part.in_channels, side, side) for side in SIDES]
        if isinstance(part, torch.nn.modules.batchnorm.BatchNorm1d):
            return [torch.zeros(2, part.num_features)]
    return []


def from_factory(factory: str, weights: Any) -> Program:
    """Calls the user's own ``module:function``, found from the current folder; its module gets the weights."""
    import torch

    place, _, called = factory.partition(":")
    if not called or not all(part.isidentifier() for part in (*place.split("."), called)):
        raise BadModel(f"--factory must be module:function. Got {factory!r}.", "For example --factory mynet:make.")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(place), called)
    except (ImportError, AttributeError) as error:
        raise NotFound(f"There is no {factory!r} ({error}).", "It is looked for in the current folder first.") from None
    finally:
        sys.path.remove(here)
    module = make()
    if not isinstance(module, torch.nn.Module):
        raise BadModel(f"{factory} must return a torch.nn.Module. Got a {type(module).__name__}.")
    try:
        module.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise BadModel(f"The weights do not fit what {factory} makes ({str(error)[:300]}).") from None
    return from_module(module)


def to_exported(program: Program) -> Any:
    """The program for torch.export.save: parameters under their own names, ready for plain PyTorch."""
    import torch

    graph = program.graph

    class Exported(torch.nn.Module):  # type: ignore[misc]
        """Runs the graph over tensors registered under their own names."""

        def forward(self, x: Any) -> Any:
            return run(graph, {key: _found(self, key) for key in program.tensors}, x, training=False)

    module = Exported()
    for key, value in program.tensors.items():
        *path, name = key.split(".")
        place: Any = module
        for step in path:
            if step not in place._modules:
                place.add_module(step, torch.nn.Module())
            place = place._modules[step]
        if key in program.trainable:
            place.register_parameter(name, torch.nn.Parameter(value.clone()))
        else:
            place.register_buffer(name, value.clone())
    free = {} if graph.batch else {0: torch.export.Dim.DYNAMIC}
    example = torch.zeros((graph.batch or 2, *graph.shape), dtype=getattr(torch, graph.dtype))
    return torch.export.export(module.eval(), (example,), dynamic_shapes=(free,), strict=False)


def _found(module: Any, key: str) -> Any:
    *path, name = key.split(".")
    for step in path:
        module = module._modules[step]
    return module._parameters[name] if name in module._parameters else module._buffers[name]
