"""Sequences of token ids of several lengths become one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def pad_left(sequences: Sequence[Sequence[int]], padding: int) -> dict[str, Any]:
    """``input_ids``, ``attention_mask`` and ``position_ids`` (n, longest); all sequences end at the last place."""
    import torch

    width = max(1, max(map(len, sequences)))
    ids, mask = np.full((len(sequences), width), padding, np.int64), np.zeros((len(sequences), width), np.int64)
    for row, one in enumerate(sequences):
        ids[row, width - len(one) :], mask[row, width - len(one) :] = one, 1
    named = {"input_ids": ids, "attention_mask": mask, "position_ids": np.maximum(mask.cumsum(axis=1) - 1, 0)}
    return {name: torch.from_numpy(values) for name, values in named.items()}
