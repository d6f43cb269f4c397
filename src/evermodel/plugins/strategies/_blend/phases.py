"""One phase of a member's training: its rows, how likely each is drawn, steps and learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import NoData
from evermodel.core.model.strategy import Split

BATCH = 128
FRESH_RATE, WARM_RATE = 4e-3, 1e-3  # half of the epochs' usual steps make up for it by their length
WARM_EPOCHS, FINISH_EPOCHS = 5, 2
LEAST_FRESH, LEAST_WARM, LEAST_FINISH = 200, 60, 30  # steps: few rows make short epochs
ROLES = ("replay", "recent", "again", "window", "new")  # what matters most first: a deadline cuts at the end


@dataclass(frozen=True)
class Phase:
    """What one member is trained on, for how many steps of 128 rows, from which learning rate down to 0."""

    rows: Table
    steps: int
    rate: float
    from_scratch: bool
    sampling: Array | None = None  # (n,) how likely each row is drawn; None: evenly


def training_phase(role: str, data: Split, *, window: int, half_life: float, epochs: int) -> Phase:
    """How a member of the role is trained before it is judged."""
    if role == "new":
        return Phase(
            data.new_rows, max(LEAST_WARM, _steps(WARM_EPOCHS, len(data.new_rows))), WARM_RATE, from_scratch=False
        )
    if role == "replay":
        rows, even = mix_half_new(_kept(data), data.new_rows)
        return Phase(rows, max(LEAST_WARM, _steps(WARM_EPOCHS, 2 * len(data.new_rows))), WARM_RATE, False, even)
    rows = _kept(data).with_rows(data.new_rows)
    if role == "window":
        rows = newest_blocks(rows, rows.newest_block(), window)
        return Phase(rows, _steps(epochs, len(rows)), FRESH_RATE, from_scratch=True)
    likely = 0.5 ** (block_ages(rows) / half_life)
    least = min(LEAST_FRESH, _steps(epochs, len(rows)))
    return Phase(rows, max(least, _steps(epochs, likely.sum())), FRESH_RATE, True, likely)


def refit_phase(role: str, data: Split, *, window: int) -> Phase:
    """How a judged member is finished on the whole new block, one to one with kept rows."""
    n = len(data.new_rows)
    epochs = (
        1 if role == "again" else FINISH_EPOCHS
    )  # the twin of "recent": blends of few rows cost under 1.1 trainings
    kept = None if role == "new" else data.replay_rows
    if role == "window" and kept is not None:
        kept = newest_blocks(kept, data.new_rows.newest_block(), window)
    if kept is None or not len(kept):
        return Phase(data.new_rows, max(LEAST_FINISH, _steps(epochs, n)), WARM_RATE, from_scratch=False)
    rows, even = mix_half_new(kept, data.new_rows)
    return Phase(rows, max(LEAST_FINISH, _steps(epochs, 2 * n)), WARM_RATE, False, even)


def mix_half_new(kept: Table, new: Table) -> tuple[Table, Array]:
    """Kept and new rows, and how likely each is drawn so that half of the draws are new."""
    likely = np.concatenate([np.full(len(kept), 1.0 / len(kept)), np.full(len(new), 1.0 / len(new))])
    return kept.with_rows(new), likely


def block_ages(rows: Table) -> Array:
    """(n,) float: how many blocks older than the newest."""
    blocks = np.zeros(len(rows)) if rows.blocks is None else rows.blocks
    return np.asarray(rows.newest_block() - blocks, dtype=np.float64)


def newest_blocks(rows: Table, newest: int, window: int) -> Table:
    """The rows of the last ``window`` blocks up to ``newest``."""
    return rows if rows.blocks is None else rows.rows(rows.blocks > newest - window)


def _steps(epochs: int, rows: float) -> int:
    return epochs * math.ceil(rows / BATCH)


def _kept(data: Split) -> Table:
    if data.replay_rows is None or not len(data.replay_rows):
        raise NoData("A blend needs rows kept from before; there are none.", "Use the strategy 'resume'.")
    return data.replay_rows
