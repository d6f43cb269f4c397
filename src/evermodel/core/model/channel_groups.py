"""Which channels of a network hang together, and its weights without some of them; knows no framework.

A framework's file walks its network once and tells this trace what it meets: every tensor's channels are numbers,
layers that mix channels make new numbers, additions join two, a concatenation puts them side by side. What is joined
can only be taken out together; what a layer we do not know reads, or what comes in and goes out, cannot be taken out.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadSetting


@dataclass(frozen=True)
class Part:
    """What one weight tensor has to do with the channels of a group, a row each; ``owner`` says whose row it is."""

    rows: Array  # (m, n)
    owner: Array  # (m,) int, positions in the group


@dataclass(frozen=True)
class Group:
    """Channels of which each can be taken out by itself, with all that is coupled to it."""

    name: str  # of the layer that makes them, or of the first of several that are added up
    width: int
    parts: tuple[Part, ...] = field(repr=False)


@dataclass(frozen=True)
class Slot:
    """A weight tensor and the channels along some of its axes."""

    value: Array
    axes: Mapping[int, Array]
    counts: bool  # whether it says how much a channel matters: running statistics do not


class Channels:
    """A trace in the making. Channels are numbers; ``join`` makes two of them one."""

    def __init__(self) -> None:
        self._parent = np.empty(0, dtype=np.int64)
        self._made: list[tuple[str, Array]] = []
        self._frozen: list[Array] = []
        self.slots: dict[Hashable, Slot] = {}

    def new_channels(self, n: int, name: str) -> Array:
        """Numbers (n,) of the channels that the layer ``name`` makes."""
        ids = np.arange(len(self._parent), len(self._parent) + n)
        self._parent = np.concatenate([self._parent, ids])
        self._made.append((name, ids))
        return ids

    def freeze_channels(self, n: int) -> Array:
        """Numbers of channels that stay."""
        ids = self.new_channels(n, "")
        self.freeze(ids)
        return ids

    def freeze(self, ids: Array) -> Array:
        self._frozen.append(ids)
        return ids

    def join(self, one: Array, other: Array) -> Array:
        """The channels are added up or multiplied, one by one: they go or stay together."""
        for a, b in zip(self.roots(one), self.roots(other), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low
        return one

    def slot(self, key: Hashable, value: Array, axes: Mapping[int, Array], *, counts: bool = True) -> None:
        """A weight tensor; met a second time (a shared layer), its channels are those of the first time as well."""
        if key not in self.slots:
            self.slots[key] = Slot(value, dict(axes), counts)
            return
        for axis, ids in axes.items():
            self.join(self.slots[key].axes[axis], ids)

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            number = int(self._parent[number])
        return int(number)

    def roots(self, ids: Array) -> Array:
        found = self._parent[ids]
        while not np.array_equal(found, self._parent[found]):
            found = self._parent[found]
        return np.asarray(found)

    def units(self) -> dict[str, Array]:
        """Group name -> the numbers (width,) of its channels that can be taken out, in order."""
        frozen = self.roots(np.concatenate(self._frozen)) if self._frozen else np.empty(0, np.int64)
        group_of: dict[int, str] = {}
        same: dict[str, str] = {}

        def first(name: str) -> str:
            while same.get(name, name) != name:
                name = same[name]
            return name

        for name, ids in self._made:
            for root in np.unique(self.roots(ids)):
                other = first(group_of.setdefault(int(root), name))
                if other != first(name):
                    same[first(name)] = other
        found: dict[str, list[int]] = {}
        for root, name in sorted(group_of.items()):
            if root not in frozen:
                found.setdefault(first(name), []).append(root)
        return {name: np.array(roots) for name, roots in found.items()}

    def groups(self) -> list[Group]:
        return [Group(name, len(units), tuple(self._parts(units))) for name, units in self.units().items()]

    def _parts(self, units: Array) -> list[Part]:
        found = []
        for slot in self.slots.values():
            for axis, ids in slot.axes.items():
                roots = self.roots(ids)
                inside = np.isin(roots, units)
                if slot.counts and inside.any():
                    rows = np.moveaxis(slot.value, axis, 0)[inside]
                    found.append(Part(rows.reshape(len(rows), -1), np.searchsorted(units, roots[inside])))
        return found

    def find_removed(self, removed: Mapping[str, Array]) -> Array:
        """The numbers that go. Raises BadSetting for a group or a channel that is not there, or a whole group."""
        units, gone = self.units(), [np.empty(0, np.int64)]
        for name, at in removed.items():
            at = np.unique(np.asarray(at, dtype=np.int64))
            if name not in units:
                raise BadSetting(
                    f"There is no group of channels {name!r}.", f"There are: {', '.join(units) or 'none'}."
                )
            if len(at) and (at[0] < 0 or at[-1] >= len(units[name])):
                raise BadSetting(f"{name} has the channels 0 to {len(units[name]) - 1}. Got {at[0]} to {at[-1]}.")
            if len(at) >= len(units[name]):
                raise BadSetting(f"{name} must keep at least one of its {len(units[name])} channels.")
            gone.append(units[name][at])
        return np.concatenate(gone)

    def find_remaining(self, ids: Array, gone: Array) -> Array:
        """(n,) bool: which of the channels stay."""
        return ~np.isin(self.roots(ids), gone)

    def cut(self, key: Hashable, gone: Array) -> Array:
        """The weight tensor without the channels."""
        slot = self.slots[key]
        value = slot.value
        for axis, ids in slot.axes.items():
            value = np.compress(self.find_remaining(ids, gone), value, axis=axis)
        return value

    def mask(self, key: Hashable, gone: Array) -> Array:
        """The weight tensor of the same shape with zeros for the channels: what a mask does."""
        slot = self.slots[key]
        value = slot.value.copy()
        for axis, ids in slot.axes.items():
            np.moveaxis(value, axis, 0)[~self.find_remaining(ids, gone)] = 0
        return value
