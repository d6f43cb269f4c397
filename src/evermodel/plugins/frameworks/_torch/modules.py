"""Between live modules and programs; modules are the user's own code, asked for by name."""

from __future__ import annotations

import importlib
import inspect
import io
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, NotFound
from evermodel.plugins.frameworks._torch import program_archive
from evermodel.plugins.frameworks._torch.program import Argument, Program, run_arguments

SIDES = (28, 32, 64, 96, 128, 224)  # pictures tried where a module does not say

logger = logging.getLogger(__name__)
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")  # of Lightning, of PyTorch's tutorials, of many others


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
                    shapes = (free,) * len(example)
                    exported_module = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
                    return from_exported(exported_module)
                except BadModel:
                    raise
                except Exception as error:  # the module's own code runs here: anything can be raised
                    logger.debug("The module could not be exported in one way.", exc_info=True)
                    last = error
    finally:
        for part, mode in modes:
            part.training = mode
    reason = "" if last is None else f" ({type(last).__name__}: {str(last).strip().splitlines()[0][:200]})"
    raise BadModel(
        f"{type(module).__name__} cannot be exported{reason}.",
        "Set module.example_input_array to a batch of two rows, of whole numbers where it takes tokens or codes, or to "
        "a tuple of such where it takes several tensors; or give a .pt2 of torch.export.",
    ) from last


def from_exported(exported: Any) -> Program:
    """A program from torch.export, by way of its archive."""
    import torch

    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    buffer.seek(0)
    return program_archive.read(buffer, "The exported program")


def _examples(module: Any) -> list[tuple[Any, ...]]:
    """What the module may be called with, each a tuple of its arguments."""
    import torch

    given = getattr(module, "example_input_array", None)
    if given is not None:
        several = given if isinstance(given, tuple) else (given,)
        return [tuple(one if len(one) > 1 else torch.cat([one, one]) for one in several)]
    for part in module.modules():
        if isinstance(part, torch.nn.Linear):
            return [(torch.zeros(2, part.in_features),)]
        if isinstance(part, torch.nn.Conv2d):
            return [(torch.zeros(2, part.in_channels, side, side),) for side in SIDES]
        if isinstance(part, torch.nn.modules.batchnorm.BatchNorm1d):
            return [(torch.zeros(2, part.num_features),)]
    return []


def from_factory(factory: str, weights: Any) -> Program:
    """Calls the user's own ``module:function``, found from the current folder; its module gets the weights."""
    import torch

    place, _, called = factory.partition(":")
    if not called or not all(part.isidentifier() for part in (*place.split("."), called)):
        raise BadModel(f"`factory` must be module:function. Got {factory!r}.", "For example mynet:make.")
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
        module.load_state_dict(_find_weights(weights, set(module.state_dict())))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise BadModel(f"The weights do not fit what {factory} makes ({str(error)[:300]}).") from None
    return from_module(module)


def _find_weights(found: Any, wanted: set[str]) -> Any:
    """The weights inside of a training checkpoint, under the names that the module gives them.

    Checkpoints keep them beside epoch and optimizer; Lightning puts the name of an attribute before each.
    """
    for key in CHECKPOINT_KEYS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or wanted <= set(found):
        return found
    prefixes = {name[: -len(one)] for name in map(str, found) for one in wanted if name.endswith(f".{one}")}
    for prefix in sorted(prefixes):
        bare = {str(name).removeprefix(prefix): value for name, value in found.items() if str(name).startswith(prefix)}
        if set(bare) == wanted:
            return bare
    return found


def to_exported(program: Program) -> Any:
    """The program for torch.export.save: parameters under their own names, ready for plain PyTorch."""
    import torch

    graph = program.graph

    class Exported(torch.nn.Module):  # type: ignore[misc]
        """Runs the graph over tensors registered under their own names."""

        def forward(self, *given: Any, **named: Any) -> Any:
            tensors = {key: _found(self, key) for key in program.tensors}
            return run_arguments(graph, tensors, dict(zip(names, given, strict=False)) | named, training=False)

    arguments = graph.arguments or (Argument(graph.x, graph.shape, graph.dtype),)
    names = [one.name for one in arguments]
    # The exported program is called as the given one was: by these names, in this order.
    called = ("self", *(name if name.isidentifier() else "x" for name in names))
    kinds = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in called]
    Exported.forward.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]
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
    example = {
        one.name: torch.zeros((graph.batch or 2, *one.shape), dtype=getattr(torch, one.dtype)) for one in arguments
    }
    by_place = tuple(example[one.name] for one in arguments if not one.keyword)
    by_name = {one.name: example[one.name] for one in arguments if one.keyword}
    shapes = dict.fromkeys(called[1:], free)
    return torch.export.export(module.eval(), by_place, by_name, dynamic_shapes=shapes, strict=False)


def _found(module: Any, key: str) -> Any:
    *path, name = key.split(".")
    for step in path:
        module = module._modules[step]
    return module._parameters[name] if name in module._parameters else module._buffers[name]
