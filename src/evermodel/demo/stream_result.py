"""What the demonstration measured on one stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BlockScores:
    """The metric on the block that came next, after an update with the block before it."""

    block: str  # the block that was scored
    decision: str  # what Evermodel's judge decided about the update
    never_updated: float
    textbook: float
    evermodel: float


@dataclass(frozen=True)
class StreamResult:
    """One stream: its scores block by block, and the files that were written."""

    name: str
    title: str
    source: str
    metric: str
    textbook_recipe: str
    blocks: tuple[BlockScores, ...]
    files: tuple[str, ...]
    seconds: float

    def mean(self, way: str) -> float:
        """The mean over the blocks: ``never_updated``, ``textbook`` or ``evermodel``."""
        return float(np.mean([getattr(b, way) for b in self.blocks]))

    def lines(self) -> list[str]:
        """The table."""
        head = f"{self.title}: {self.metric} on the block that came next"
        columns = f"  {'block':<28}{'never updated':>14}{'textbook':>10}{'Evermodel':>11}   decision"
        rows = [
            f"  {b.block:<28}{b.never_updated:>14.3f}{b.textbook:>10.3f}{b.evermodel:>11.3f}   {b.decision}"
            for b in self.blocks
        ]
        means = f"{self.mean('never_updated'):>14.3f}{self.mean('textbook'):>10.3f}{self.mean('evermodel'):>11.3f}"
        return [head, columns, *rows, f"  {'mean':<28}{means}", f"  textbook: {self.textbook_recipe}"]
