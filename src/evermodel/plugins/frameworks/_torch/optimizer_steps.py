"""One step of Adam, AdamW or SGD with momentum on a program's tensors; the state is kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

BETAS, TINY = (0.9, 0.999), 1e-8
MOMENTUM = 0.9

Step = Callable[[Mapping[str, Any], dict[str, Any], Sequence[str], Sequence[Any], float, float], None]


def adamw(
    tensors: Mapping[str, Any],
    memory: dict[str, Any],
    keys: Sequence[str],
    gradients: Sequence[Any],
    rate: float,
    decay: float,
) -> None:
    """Adam whose weight decay is decoupled from the gradient. Source: https://arxiv.org/abs/1711.05101"""
    if decay:
        for key, gradient in zip(keys, gradients, strict=True):
            if gradient is not None:
                tensors[key].mul_(1.0 - rate * decay)
    adam(tensors, memory, keys, gradients, rate, 0.0)


def adam(
    tensors: Mapping[str, Any],
    memory: dict[str, Any],
    keys: Sequence[str],
    gradients: Sequence[Any],
    rate: float,
    decay: float,
) -> None:
    """Adam; the decay is part of the gradient. Source: https://arxiv.org/abs/1412.6980"""
    import torch

    step = float(memory.get("step", torch.zeros(1))[0]) + 1
    memory["step"] = torch.tensor([step])
    for key, given in zip(keys, gradients, strict=True):
        if given is None:
            continue
        gradient = given.add(tensors[key], alpha=decay) if decay else given
        first, second = (memory.setdefault(f"{part}.{key}", torch.zeros_like(gradient)) for part in ("first", "second"))
        first.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        spread = (second / (1 - BETAS[1] ** step)).sqrt_().add_(TINY)
        tensors[key].addcdiv_(first, spread, value=-rate / (1 - BETAS[0] ** step))


def sgd(
    tensors: Mapping[str, Any],
    memory: dict[str, Any],
    keys: Sequence[str],
    gradients: Sequence[Any],
    rate: float,
    decay: float,
) -> None:
    """Stochastic gradient descent with momentum .9. Source: Polyak (1964), doi:10.1016/0041-5553(64)90137-5"""
    import torch

    memory["step"] = memory.get("step", torch.zeros(1)) + 1
    for key, given in zip(keys, gradients, strict=True):
        if given is None:
            continue
        gradient = given.add(tensors[key], alpha=decay) if decay else given
        moving = memory.setdefault(f"momentum.{key}", torch.zeros_like(gradient))
        moving.mul_(MOMENTUM).add_(gradient)
        tensors[key].add_(moving, alpha=-rate)


STEPS: Mapping[str, Step] = {"adam": adam, "adamw": adamw, "sgd": sgd}
USUAL = "adamw"  # without weight decay the same as adam
