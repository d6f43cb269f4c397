"""Means and variances that batch normalisation keeps: they stay where a layer is not trained, and else are those of all
rows that were trained on, old and new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def find_norms(network: Any) -> list[Any]:
    """The batch normalisations that keep a mean and a variance."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


def find_frozen_norms(network: Any) -> list[Any]:
    """Those without a parameter that is trained: what they keep belongs to the pretrained network and must stay."""
    return [norm for norm in find_norms(network) if not any(p.requires_grad for p in norm.parameters())]


def estimate_statistics(network: Any, batches: Iterable[dict[str, Any]]) -> None:
    """Means and variances anew, in place, evenly over these batches, of which each must be of several rows.

    What a training leaves behind is a running mean that the last few steps dominate, taken with weights that have
    changed since.
    """
    import torch

    norms = find_norms(network)
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a mean over all batches
        norm.train()
    with torch.no_grad():
        for batch in batches:
            network(**batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
