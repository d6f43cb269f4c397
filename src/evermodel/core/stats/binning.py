"""Finds and counts which numbers fall between given edges, three times as fast as numpy's binary search."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array

MANY = 20_000  # numbers, from which setting up a grid pays
FEW = 16  # edges, up to which a comparison with each is the fastest
CELLS = 1 << 14
CHUNK = 1 << 19  # numbers at a time: what lies between stays small, and mostly in the processor's cache


def count_bins(x: Array, edges: Array) -> Array:
    """(len(edges) + 1,) how many of the finite ``x`` (n,) lie in each of (-inf, e0], (e0, e1] … (ek, inf).

    ``edges`` rise. The same as a binary search of each number (``searchsorted(side="left")``), three times as fast for
    many numbers: an even grid says the bin at once, but where a cell of it holds an edge.
    """
    if len(x) > CHUNK:
        parts = [count_bins(x[i : i + CHUNK], edges) for i in range(0, len(x), CHUNK)]
        return np.asarray(np.sum(parts, axis=0))
    if len(x) >= MANY and len(edges) <= FEW:
        above = [len(x), *(int(np.count_nonzero(x > e)) for e in edges), 0]
        return -np.diff(above)
    width = float(edges[-1]) - float(edges[0]) if len(x) >= MANY else 0.0
    if width > 0.0 and 0.0 < CELLS / width < np.inf:
        return _by_grid(x, edges, CELLS / width)
    return np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1)


def find_bins(x: Array, edges: Array) -> Array:
    """(n,) the bin of each of the finite ``x`` (n,), as ``count_bins`` counts them."""
    width = float(edges[-1]) - float(edges[0]) if len(x) >= MANY and len(edges) > 1 else 0.0
    if not (width > 0.0 and 0.0 < CELLS / width < np.inf):
        return np.asarray(np.searchsorted(edges, x, side="left"))
    rank, mixed = _lay_grid(edges, CELLS / width)
    cells = _cells(x, edges[0], CELLS / width)
    bins = rank[cells]
    near = np.flatnonzero(mixed[cells])
    bins[near] = np.searchsorted(edges, x[near], side="left")
    return np.asarray(bins)


def _lay_grid(edges: Array, scale: float) -> tuple[Array, Array]:
    """The bin of each cell of the grid, and whether the cell holds an edge, so that its numbers must be searched."""
    own = _cells(edges, edges[0], scale)
    rank = np.searchsorted(own, np.arange(CELLS + 3), side="left")
    mixed = np.zeros(CELLS + 3, dtype=bool)
    mixed[own] = True
    return rank, mixed


def _by_grid(x: Array, edges: Array, scale: float) -> Array:
    """Exact: rounding keeps the order, so that a number in a lower cell than an edge's cell is below the edge."""
    rank, mixed = _lay_grid(edges, scale)
    cells = _cells(x, edges[0], scale)
    sure = np.bincount(cells, minlength=CELLS + 3)
    sure[mixed] = 0
    counts = np.bincount(rank, weights=sure, minlength=len(edges) + 1).astype(np.int64)
    near = np.searchsorted(edges, x[mixed[cells]], side="left")
    return np.asarray(counts + np.bincount(near, minlength=len(edges) + 1))


def _cells(x: Array, low: float, scale: float) -> Array:
    with np.errstate(over="ignore"):  # what lies so far out is clipped
        place = (x - low) * scale
    np.clip(place, -1.0, CELLS, out=place)
    return (place + 1.0).astype(np.int32)
