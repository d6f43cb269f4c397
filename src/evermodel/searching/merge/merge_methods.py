"""How one tensor of several models becomes one: each method is a function that yields its parts, in float32.

Its settings are its keyword-only parameters. A method of which ``NEEDS_BASE`` holds reads how the models differ from a
model that all of them were trained from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.settings import In
from evermodel.searching.merge.float_parts import TensorParts

Weights = Sequence[float]
ALIKE = 0.9995  # cosine of the angle above which two tensors have no arc worth following
LEVELS = 1 << 16
NOTHING = 1e-30  # added to a sum of weights, which is 0 where nothing agrees: far below what float32 can tell from 1
NEEDS_BASE = ("ties", "dare", "task_arithmetic")


def linear(tensor: TensorParts, weights: Weights, key: int, /) -> Iterator[Array]:
    """The weighted mean of the models."""
    shares = [weight / sum(weights) for weight in weights]
    for parts in tensor.parts():
        mean = parts[0] * np.float32(shares[0])
        for part, share in zip(parts[1:], shares[1:], strict=True):
            mean += part * np.float32(share)
        yield mean


def slerp(tensor: TensorParts, weights: Weights, key: int, /) -> Iterator[Array]:
    """Two models along the arc between them, the second by its share of the weights: the length is kept too."""
    products = np.zeros(3)  # a.b, a.a, b.b
    for one, other in tensor.parts():
        products += [float(np.dot(a, b)) for a, b in ((one, other), (one, one), (other, other))]
    place = weights[1] / sum(weights)
    lengths = math.sqrt(products[1] * products[2])
    cosine = float(np.clip(products[0] / lengths, -1.0, 1.0)) if lengths > 0 else 1.0
    if abs(cosine) > ALIKE:
        first, second = 1.0 - place, place
    else:
        angle = math.acos(cosine)
        first, second = (math.sin(share * angle) / math.sin(angle) for share in (1.0 - place, place))
    for one, other in tensor.parts():
        yield one * np.float32(first) + other * np.float32(second)


def task_arithmetic(
    tensor: TensorParts, weights: Weights, key: int, /, *, scale: Annotated[float, In(-100.0, 100.0)] = 1.0
) -> Iterator[Array]:
    """The base and the weighted sum of what each model learnt since."""
    for base, changes in tensor.changes():
        for change, weight in zip(changes, weights, strict=True):
            base = base + change * np.float32(weight * scale)
        yield base


def dare(
    tensor: TensorParts,
    weights: Weights,
    key: int,
    /,
    *,
    density: Annotated[float, In(0.01, 1.0)] = 0.5,
    scale: Annotated[float, In(-100.0, 100.0)] = 1.0,
) -> Iterator[Array]:
    """As ``task_arithmetic``, but of each change only the share ``density``, drawn at random, and larger by as much."""
    draws = [np.random.Generator(np.random.Philox(key=[key, model])) for model in range(tensor.models)]
    for base, changes in tensor.changes():
        for change, weight, random in zip(changes, weights, draws, strict=True):
            kept = random.random(len(change), dtype=np.float32) < density
            base = base + change * kept * np.float32(weight * scale / density)
        yield base


def ties(
    tensor: TensorParts,
    weights: Weights,
    key: int,
    /,
    *,
    density: Annotated[float, In(0.01, 1.0)] = 0.5,
    scale: Annotated[float, In(-100.0, 100.0)] = 1.0,
) -> Iterator[Array]:
    """The base and the mean of the largest changes that agree in sign with most of their weight.

    Of each model the share ``density`` of the changes is kept, the largest of the tensor, exactly as many: found by
    counting, in two passes, without holding the tensor.
    """
    keep = max(1, round(density * tensor.size))
    cuts = [LargestChanges(partial(tensor.changes_of, model), keep) for model in range(tensor.models)]
    for base, changes in tensor.changes():
        for cut, change, weight in zip(cuts, changes, weights, strict=True):
            cut.trim(change)
            if weight != 1.0:
                change *= np.float32(weight)
        total = changes[0].copy()
        for change in changes[1:]:
            total += change
        merged, share = np.zeros_like(base), np.full_like(base, NOTHING)
        for change, weight in zip(changes, weights, strict=True):
            agrees = change * total > 0
            np.multiply(change, agrees, out=change)
            merged += change
            share += agrees if abs(weight) == 1.0 else agrees * np.float32(abs(weight))
        merged /= share
        merged *= np.float32(scale)
        merged += base
        yield merged


class LargestChanges:
    """Keeps exactly the ``keep`` largest magnitudes of a stream of float32 parts; of equal ones the first.

    The bits of a magnitude are in the order of its size: the upper and then the lower half of the bits of the smallest
    kept one are found by counting.
    """

    def __init__(self, stream: Callable[[], Iterator[Array]], keep: int) -> None:
        upper = self._count(_halve(part)[1] for part in stream())
        high, above = _find_level(upper, keep)
        matching = (lower[upper == high] for lower, upper in map(_halve, stream()))
        low, more = _find_level(self._count(matching), keep - above)
        self._smallest = np.uint32(high << 16 | low)
        self._left = keep - above - more  # of those that are as large as the smallest kept one

    def trim(self, part: Array) -> None:
        """Sets to 0 what is not among the largest; call it for each part in turn, once."""
        bits = _magnitudes(part)
        kept = bits > self._smallest
        if self._left:
            equal = np.flatnonzero(bits == self._smallest)[: self._left]
            self._left -= len(equal)
            kept[equal] = True
        np.multiply(part, kept, out=part)

    @staticmethod
    def _count(levels: Iterator[Array]) -> Array:
        counts = np.zeros(LEVELS, np.int64)
        for level in levels:
            counts += np.bincount(level, minlength=LEVELS)
        return counts


def _magnitudes(part: Array) -> Array:
    return np.abs(part).view(np.uint32)


def _halve(part: Array) -> tuple[Array, Array]:
    """The lower and the upper 16 bits of each magnitude."""
    halves = _magnitudes(part).astype("<u4", copy=False).view("<u2")
    return halves[0::2], halves[1::2]


def _find_level(counts: Array, keep: int) -> tuple[int, int]:
    """The level of the ``keep``-th largest, and how many are above it."""
    from_above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_above, keep))
    above = int(from_above[place - 1]) if place else 0
    return LEVELS - 1 - place, above


METHODS: dict[str, Callable[..., Iterator[Any]]] = {
    method.__name__: method for method in (linear, slerp, ties, dare, task_arithmetic)
}
