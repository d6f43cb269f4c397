"""Which pictures of a class belong together: frames of a track by their names, near-duplicates by their look."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.image_decoding import LARGEST_SIDE
from evermodel.core.errors import MissingExtra

SIDE = 16  # of the hash: 16 x 16 bits, whether a place is brighter than the one left of it
NEAR = 26  # of 256 bits: tracks of one sign differ in 49 or more for 99.9 % of the pairs (GTSRB, six classes)
SAME = 2  # bits that near-duplicates may differ in where nearly all pictures of the class look alike
FLAT = 2.0  # grey levels, of 255: pictures with less contrast have no hash
LARGEST_SHARE = 0.2  # of a class: a larger group means that the class, not a burst, looks alike
LEAST_TRACKS = 3  # in a class; and no track holds more than half of it: else the names number the class through
ALL_PAIRS = 4_000  # pictures of a class up to which each is compared with each, else with those next to it
BESIDE = 200
_NUMBERED = re.compile(r"^(.*?)[\s_.\-(]*\d+[)\s]*$")


def find_bursts(folder: Path, paths: list[str]) -> dict[str, str]:
    """Path of each picture, ``class/name``, -> the first path of its burst; a picture alone is a burst of one.

    Two pictures of a class belong together where their names differ in the last number only, if such names make at
    least three tracks of the class and none is more than half of it; or where their difference hashes do so in at most
    26 of 256 bits. About 0.1 ms for a picture of 32 x 32, some more for a large one.
    """
    found: dict[str, str] = {}
    classes: dict[str, list[str]] = {}
    for path in paths:
        classes.setdefault(path.split("/", 1)[0], []).append(path)
    for members in classes.values():
        bits, usable = _hash_pictures(folder, members)
        groups = _join(len(members), [*_pair_tracks(members), *_pair_alike(bits, usable)])
        found |= {path: members[first] for path, first in zip(members, groups, strict=True)}
    return found


def _pair_tracks(paths: list[str]) -> list[tuple[int, int]]:
    """Neighbours in one track, by their places; none where the names tell of no tracks."""
    matches = [_NUMBERED.match(Path(path).stem) for path in paths]
    names = [match[1] if match else "" for match in matches]
    sizes = Counter(name for name in names if name)
    if len(sizes) < LEAST_TRACKS or max(sizes.values()) > len(paths) / 2:
        return []
    return _pair_equal(names)


def _pair_equal(names: list[str]) -> list[tuple[int, int]]:
    last: dict[str, int] = {}
    pairs = []
    for at, name in enumerate(names):
        if name:
            if name in last:
                pairs.append((last[name], at))
            last[name] = at
    return pairs


def _hash_pictures(folder: Path, paths: list[str]) -> tuple[Array, Array]:
    """(n, 256) float32 of 0 and 1, and (n,) bool: which pictures have such a hash."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra.for_package("pillow", "images", "Reading images") from None
    bits = np.zeros((len(paths), SIDE * SIDE), dtype=np.float32)
    usable = np.zeros(len(paths), dtype=bool)
    for at, path in enumerate(paths):
        try:
            with Image.open(io.BytesIO((folder / path).read_bytes()), formats=("PNG", "JPEG", "BMP", "PPM")) as picture:
                if max(picture.size) > LARGEST_SIDE:
                    continue
                picture.draft("L", (64, 64))  # JPEG: decoded small
                small = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BILINEAR)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # whoever asks for its pixels is told
        grey = np.asarray(small, dtype=np.float32)
        if grey.std() >= FLAT:
            bits[at], usable[at] = (grey[:, 1:] > grey[:, :-1]).ravel(), True
    return bits, usable


def _pair_alike(bits: Array, usable: Array) -> list[tuple[int, int]]:
    """Pairs of near-duplicates; of equal hashes alone where near ones would join much of the class."""
    for most in (NEAR, SAME):
        pairs = _pair_within(bits, usable, most)
        sizes = Counter(_join(len(bits), pairs))
        if max(sizes.values(), default=0) <= max(LARGEST_SHARE * len(bits), 2):
            return pairs
    return []


def _pair_within(bits: Array, usable: Array, most: int) -> list[tuple[int, int]]:
    """Pairs whose hashes differ in at most ``most`` bits."""
    pairs: list[tuple[int, int]] = []
    width = len(bits) if len(bits) <= ALL_PAIRS else BESIDE
    for at in range(0, len(bits), BESIDE):
        block = slice(at, min(at + BESIDE, len(bits)))
        against = slice(at, min(at + BESIDE + width, len(bits)))
        one, other = bits[block], bits[against]
        differ = one @ (1.0 - other).T + (1.0 - one) @ other.T
        near = (differ <= most + 0.5) & usable[block, None] & usable[against]
        pairs += [(at + int(i), at + int(j)) for i, j in np.argwhere(near) if i < j]
    return pairs


def _join(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    """The smallest place of each place's group, where the pairs stand together."""
    parent = list(range(count))

    def find(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for one, other in pairs:
        a, b = find(one), find(other)
        parent[max(a, b)] = min(a, b)
    return [find(at) for at in range(count)]
