"""Whole layers of a pretrained network, or a share of the units inside them, are left out: of classifiers and of
causal language models.

What comes out is built by transformers from the smaller configuration, so that it is an ordinary network of its
architecture: it loads, serves and trains like any other. Attention heads stay, because most configurations derive the
width of a head from their number.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.channel_groups import Channels, Group

LAYERS = "num_hidden_layers"  # the name that transformers gives their number in every configuration
UNITS = ("intermediate_size", "hidden_dim", "ffn_dim")  # those of the width inside a layer, by architecture
PER_LAYER = ("layer_types",)  # entries of a configuration that are a list with a value for each layer


class PretrainedModel(Protocol):
    """A dataclass with the fields that ``_rebuild`` replaces: config, pretrained, files, trained and part."""

    @property
    def network(self) -> Any: ...  # what answers, the adapter among its weights
    def full_config(self) -> dict[str, Any]: ...


M = TypeVar("M", bound=PretrainedModel)


def count_layers(model: PretrainedModel) -> int:
    """Raises BadModel where the network is no chain of equal layers."""
    return len(_find_layers(model.network)[1])


def remove_layers(model: M, positions: Collection[int]) -> M:
    """The model without these layers, 0 being the first; the adapter has become part of the weights.

    Raises BadSetting for a position that is not there, or where no layer would be left.
    """
    network = model.network
    name, layers = _find_layers(network)
    gone = set(positions)
    if not gone <= set(range(len(layers))) or len(gone) == len(layers):
        raise BadSetting(f"The network has the layers 0 to {len(layers) - 1}, and one must stay. Got {sorted(gone)}.")
    kept = [place for place in range(len(layers)) if place not in gone]
    new_place = {old: new for new, old in enumerate(kept)}
    state = {}
    for key, tensor in network.state_dict().items():
        if not key.startswith(f"{name}."):
            state[key] = tensor
            continue
        place, rest = key.removeprefix(f"{name}.").split(".", 1)
        if int(place) in new_place:
            state[f"{name}.{new_place[int(place)]}.{rest}"] = tensor
    per_layer = {
        key: [getattr(network.config, key)[place] for place in kept]
        for key in PER_LAYER
        if getattr(network.config, key, None)
    }
    return _rebuild(model, {LAYERS: len(kept), **per_layer}, state)


def find_channel_groups(model: PretrainedModel) -> list[Group]:
    """The units inside each layer, between its two large matrices. Raises BadModel for networks without such units."""
    return _trace_units(model.network).groups()


def remove_channels(model: M, removed: Mapping[str, Array]) -> M:
    """The model without these units; each layer must lose as many, because the configuration has one width."""
    network = model.network
    trace = _trace_units(network)
    gone = trace.find_removed(removed)
    left = {name: len(units) - int(np.isin(units, gone).sum()) for name, units in trace.units().items()}
    widths = set(left.values())
    if len(widths) > 1:
        least, most = min(left, key=lambda name: left[name]), max(left, key=lambda name: left[name])
        raise BadSetting(
            "The layers of this network have one width for all: each must lose as many units. "
            f"{least} would keep {left[least]}, {most} {left[most]}."
        )
    import torch

    state = dict(network.state_dict())
    state |= {str(key): torch.from_numpy(np.ascontiguousarray(trace.cut(key, gone))) for key in trace.slots}
    return _rebuild(model, {_find_width(network.config)[0]: widths.pop()}, state)


def mask_channels(model: M, removed: Mapping[str, Array]) -> M:
    """The same model with zeros for the weights of these units."""
    import torch

    network = model.network
    trace = _trace_units(network)
    gone = trace.find_removed(removed)
    state = dict(network.state_dict())
    state |= {str(key): torch.from_numpy(np.ascontiguousarray(trace.mask(key, gone))) for key in trace.slots}
    return _rebuild(model, {}, state)


def _find_layers(network: Any) -> tuple[str, Any]:
    """The name of the list of layers in the network, and the list."""
    import torch

    expected = getattr(network.config, LAYERS, None)
    found = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == expected
    ]
    outermost = [(name, module) for name, module in found if not any(name.startswith(f"{n}.") for n, _ in found)]
    if len(outermost) != 1:
        raise BadModel(
            f"A {type(network).__name__} has no single chain of equal layers from which some could be taken."
        )
    return outermost[0]


def _trace_units(network: Any) -> Channels:
    """The units of each layer: what makes them (rows of a matrix and its bias), and what reads them (columns)."""
    import torch

    name, layers = _find_layers(network)
    width, hidden = _find_width(network.config)[1], getattr(network.config, "hidden_size", None)
    trace = Channels()
    for place, layer in enumerate(layers):
        linear = [(n, m) for n, m in layer.named_modules() if isinstance(m, torch.nn.Linear)]
        makers = [(n, m) for n, m in linear if m.out_features == width and m.in_features == hidden]
        readers = [(n, m) for n, m in linear if m.in_features == width and m.out_features == hidden]
        if width == hidden or not makers or len(readers) != 1:
            raise BadModel(
                f"The layers of a {type(network).__name__} have no units of their own between two matrices.",
                "Use the pruner 'layers'.",
            )
        ids = trace.new_channels(width, f"{name}.{place}")
        for maker, module in makers:
            trace.slot(f"{name}.{place}.{maker}.weight", _numbers(module.weight), {0: ids})
            if module.bias is not None:
                trace.slot(f"{name}.{place}.{maker}.bias", _numbers(module.bias), {0: ids})
        reader, module = readers[0]
        trace.slot(f"{name}.{place}.{reader}.weight", _numbers(module.weight), {1: ids})
    return trace


def _find_width(config: Any) -> tuple[str, int]:
    """The configuration's word for the width inside a layer, and that width; 0 where it has none."""
    named = {name: getattr(config, name, None) for name in UNITS}
    return next(((name, width) for name, width in named.items() if isinstance(width, int)), ("", 0))


def _numbers(tensor: Any) -> Array:
    return np.asarray(tensor.detach().numpy())


def _rebuild(model: M, changes: Mapping[str, Any], state: Mapping[str, Any]) -> M:
    """A network of the changed configuration with these weights; all of them can be trained on."""
    import torch

    old = model.network
    config = copy.deepcopy(old.config)
    for key, value in changes.items():
        setattr(config, key, value)
    with torch.random.fork_rng(devices=[]):
        network = type(old)(config)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:200]
        raise BadModel(f"A smaller {type(old).__name__} has other weights than those that are left: {said}") from error
    spelt = {getattr(config, "attribute_map", {}).get(key, key): value for key, value in changes.items()}
    smaller: M = dataclasses.replace(
        model,  # type: ignore[type-var]  # a protocol cannot say that it is a dataclass
        config={**model.full_config(), **spelt},
        pretrained=network.eval().requires_grad_(False),
        files=(),
        files_are_kept=False,
        trained={},
        part=TrainablePart.ALL,
    )
    return smaller
