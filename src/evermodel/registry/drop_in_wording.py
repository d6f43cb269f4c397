"""Says in words what a version costs to serve, and how it does not fit where the deployed one stood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from evermodel.core.records.search_record import ServingCost
from evermodel.core.records.update_record import DropInBreak

WORDS: Mapping[DropInBreak, str] = {
    DropInBreak.STRUCTURE: "several models answer together",
    DropInBreak.INPUTS: "it takes other inputs",
    DropInBreak.OUTPUTS: "it has outputs for new classes",
    DropInBreak.TRANSFORM: "rows must be encoded or normalised otherwise",
    DropInBreak.CORRECTION: "its answers are corrected outside the file",
    DropInBreak.SIZE: "its file is larger",
    DropInBreak.LATENCY: "it answers more slowly",
}


def describe_breaks(breaks: Sequence[DropInBreak]) -> str:
    """One clause for a headline; "" where the version fits where the deployed one stood."""
    return f"no drop-in: {', '.join(WORDS[kind] for kind in breaks)}" if breaks else ""


def describe_serving_cost(cost: ServingCost | None) -> str:
    """Latency, size and inputs, champion -> challenger, in one line; "" where nothing was measured."""
    if cost is None:
        return ""
    parts = []
    if all(map(math.isfinite, cost.latency_one)):
        parts.append(f"1 row {_pair(cost.latency_one, 1e3)} ms")
    if all(map(math.isfinite, cost.latency)) and cost.rows:
        parts.append(f"{cost.rows:,} rows {_pair(cost.latency, 1e3)} ms")
    if all(cost.size):
        parts.append(f"{_pair(cost.size, 1e-3)} kB{' compressed' if cost.compressed else ''}")
    if all(cost.inputs):
        before, after = cost.inputs
        parts.append(f"{after:,} inputs" if before == after else f"{before:,} -> {after:,} inputs")
    return ", ".join(parts)


def _pair(values: tuple[float, float], factor: float) -> str:
    return " -> ".join(
        f"{factor * value:.3g}" if factor * value < 1000 else f"{factor * value:,.0f}" for value in values
    )
