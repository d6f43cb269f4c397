"""Low-rank adapters (LoRA) on every linear layer of the pretrained network, put in by PEFT.

The change of a layer's weight (out, in) is SCALE * B @ A with A (rank, in) and B (out, rank); B starts at 0. SCALE does
not hang on the rank, so that an adapter can be given a higher rank without a change of what it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from evermodel.core.errors import BadSetting, MissingExtra

SCALE = 2.0
A, B = ".lora_A.weight", ".lora_B.weight"


def list_layers(network: Any) -> list[str]:
    """The names of the linear layers of the pretrained network, which an adapter is put on."""
    import torch

    prefix = f"{network.base_model_prefix}."
    return [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.Linear) and name.startswith(prefix)
    ]


def is_adapter_tensor(name: str) -> bool:
    return name.endswith((A, B))


def put_adapter(network: Any, rank: int, trained: Mapping[str, Any]) -> None:
    """Puts an adapter into a network of one's own: the tensors of ``trained``, or a new one where there are none."""
    import torch

    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise MissingExtra.for_package("peft", "transformers", "Training an adapter") from None
    layers = list_layers(network)
    if not layers:
        raise BadSetting(
            f"A {type(network).__name__} has no linear layers that an adapter could be put on.",
            "Use the strategy head or full.",
        )
    told = LoraConfig(r=rank, lora_alpha=SCALE * rank, lora_dropout=0.0, bias="none", target_modules=layers)
    inject_adapter_in_model(told, network)
    known = {name: tensor for name, tensor in trained.items() if is_adapter_tensor(name)}
    if known:
        with torch.no_grad():
            for name, tensor in adapter_parameters(network).items():
                tensor.copy_(_fit_rank(known[name], tensor.shape, tensor))


def adapter_parameters(network: Any) -> dict[str, Any]:
    """The parameters of the adapter in a network, by their names in the adapter's file."""
    named = ((name.replace(".default.", "."), tensor) for name, tensor in network.named_parameters())
    return {name: tensor for name, tensor in named if is_adapter_tensor(name)}


def merge_adapter(network: Any, trained: Mapping[str, Any]) -> Any:
    """The same network, one of one's own without an adapter in it, with the adapter's change added to its weights."""
    import torch

    with torch.no_grad():
        for name, first in trained.items():
            if name.endswith(A):
                layer = name.removesuffix(A)
                change = SCALE * (trained[f"{layer}{B}"].float() @ first.float())
                weight = network.get_submodule(layer).weight
                weight.copy_((weight.float() + change).to(weight.dtype))
    return network


def empty_adapter(network: Any) -> dict[str, Any]:
    """An adapter of rank 1 that changes nothing, for readers that want one."""
    import torch

    found = {}
    for name in list_layers(network):
        wide, high = network.get_submodule(name).weight.shape
        found[f"{name}{A}"], found[f"{name}{B}"] = torch.zeros(1, high), torch.zeros(wide, 1)
    return found


def adapter_config(
    network: Any, rank: int, base: str, task: Literal["SEQ_CLS", "CAUSAL_LM"], head: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What PEFT, and whatever reads its folders, must know of the adapter."""
    return {
        "peft_type": "LORA",
        "task_type": task,
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": SCALE * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list_layers(network),
        "modules_to_save": sorted({name.split(".")[0] for name in head}),
        "inference_mode": True,
    }


def _fit_rank(known: Any, shape: Any, drawn: Any) -> Any:
    """The known tensor with rows or columns added to a higher rank: those of A as drawn, those of B, drawn as 0."""
    if known.shape == shape:
        return known
    wider = drawn.clone()
    if any(old > new for old, new in zip(known.shape, shape, strict=True)):
        raise BadSetting(
            f"The adapter has the rank {min(known.shape)}, and a smaller one would change what it answers.",
            "Leave rank out, or choose a higher one.",
        )
    wider[tuple(slice(0, width) for width in known.shape)] = known
    return wider
