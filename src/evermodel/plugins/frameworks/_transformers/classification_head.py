"""The head of a sequence classifier: what stands behind the pretrained network and ends in a score for each label."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evermodel.core.errors import BadModel, BadSetting

BELOW = 10.0  # how far below the mean of the known labels a new one starts: a probability of some 0.00005


@dataclass(frozen=True)
class Head:
    """The parameters behind the pretrained network, by their names in the whole one, and the last layer among them."""

    names: tuple[str, ...]
    output: Any  # a linear layer
    output_name: str


def find_head(network: Any) -> Head:
    """Raises BadModel for a network that does not end in a linear layer with an output for each label."""
    import torch

    prefix = f"{network.base_model_prefix}."
    names = tuple(name for name, _ in network.named_parameters() if not name.startswith(prefix))
    layers = [
        (name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.Linear) and not name.startswith(prefix)
    ]
    if not layers or not names:
        raise BadModel(f"A {type(network).__name__} does not end in a linear layer with an output for each label.")
    name, output = layers[-1]
    return Head(names, output, name)


def copy_with_head(pretrained: Any, trained: Mapping[str, Any]) -> Any:
    """A copy of the network whose head has the tensors of ``trained``, as wide as they are."""
    network = copy.deepcopy(pretrained)
    head = find_head(network)
    weight = trained.get(f"{head.output_name}.weight")
    if weight is not None and weight.shape != head.output.weight.shape:
        _replace_output(network, head, len(weight))
    own = {name: tensor for name, tensor in trained.items() if name in set(head.names)}
    network.load_state_dict(own, strict=False)
    return network


def read_head(network: Any) -> dict[str, Any]:
    """Copies of the head's tensors, by name."""
    state = network.state_dict()
    return {name: state[name].detach().clone() for name in find_head(network).names}


def redraw_head(network: Any, seed: int) -> None:
    """New weights for the head of a network of one's own, as for one that was never trained."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    names = set(find_head(network).names)
    spread = float(getattr(network.config, "initializer_range", 0.02) or 0.02)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name in names:
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * spread if tensor.dim() > 1 else 0.0)


def widen_head(network: Any, outputs: int) -> dict[str, Any]:
    """The head's tensors with more outputs: a new one starts far below the known. Raises BadSetting without a bias."""
    import torch

    head, found = find_head(network), read_head(network)
    if head.output.bias is None:
        raise BadSetting(
            f"The head of a {type(network).__name__} has no bias, by which a new class could start below the known.",
            "Train a head with the new classes, and adopt that model.",
        )
    weight, bias = found[f"{head.output_name}.weight"], found[f"{head.output_name}.bias"]
    if len(weight) == 1:
        raise BadSetting("The model has a single output: it predicts a number, and a number has no classes.")
    more = outputs - len(weight)
    mean = weight.mean(dim=0, keepdim=True).expand(more, -1)
    found[f"{head.output_name}.weight"] = torch.cat([weight, mean]).contiguous()
    found[f"{head.output_name}.bias"] = torch.cat([bias, (bias.mean() - BELOW).expand(more)]).contiguous()
    return found


def raise_new_outputs(network: Any, codes: Sequence[int]) -> None:
    """In a network of one's own: labels that began far below, and of which there are rows now, begin level with others.

    From so far below, a short training would not reach them.
    """
    import torch

    bias = find_head(network).output.bias
    if bias is None or len(bias) < 2:
        return
    with torch.no_grad():
        known = bias > bias.max() - BELOW / 2
        new = [code for code in codes if not known[code]]
        bias[new] = bias[known].mean()


def _replace_output(network: Any, head: Head, outputs: int) -> None:
    import torch

    old = head.output
    new = torch.nn.Linear(old.in_features, outputs, bias=old.bias is not None, dtype=old.weight.dtype)
    owner, _, name = head.output_name.rpartition(".")
    setattr(network.get_submodule(owner), name, new)
    network.num_labels = network.config.num_labels = outputs
