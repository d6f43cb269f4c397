"""What texts are about: how near each is to texts of the reference rows, and to which group of them it belongs."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.monitoring.texts.word_table import DIMENSIONS, WordsOfTexts

CENTRES, TOPICS = 128, 24  # of k-means: by which novelty is measured, and by which texts are grouped
TEXTS_A_CENTRE = 4  # reference texts, below which there are fewer centres
FEWEST_CENTRES = 16
FINE = 127.0  # of a centre's coordinates, kept as bytes


@dataclass(frozen=True)
class Topics:
    """Centres of the reference rows' texts, (c, 128) bytes in base64: many near ones, and few that make groups."""

    near: str
    groups: str

    @classmethod
    def find(cls, points: Array) -> Topics | None:
        """Centres of points of unit length (n, d); None for too few of them."""
        points = points[has_words(points)].astype(np.float64)
        n = min(CENTRES, len(points) // TEXTS_A_CENTRE)
        return None if n < FEWEST_CENTRES else cls(_find_centres(points, n), _find_centres(points, min(n, TOPICS)))

    def locate_texts(self, points: Array) -> tuple[Array, Array]:
        """Of points (n, d): the squared distance to the nearest centre, and the group. NaN and -1: no words."""
        inside = has_words(points)
        distance = np.where(inside, 1.0 + _measure_distances(points, self.near).min(axis=1), np.nan)
        return distance, np.where(inside, _measure_distances(points, self.groups).argmin(axis=1), -1)


def _find_centres(points: Array, n: int) -> str:
    """Centres by k-means, as text. Source: Arthur & Vassilvitskii (2007)."""
    from scipy.cluster.vq import kmeans2

    centres, of = kmeans2(points, n, iter=15, minit="++", rng=0)
    used = centres[np.bincount(of, minlength=n) > 0]
    return base64.b64encode(np.round(used * FINE).astype(np.int8).tobytes()).decode()


def _measure_distances(points: Array, centres: str) -> Array:
    """(n, c) squared distances, less the squared length of the points."""
    at = np.frombuffer(base64.b64decode(centres), dtype=np.int8).reshape(-1, DIMENSIONS).astype(np.float32) / FINE
    return np.asarray((at**2).sum(axis=1) - 2.0 * (points @ at.T), dtype=np.float32)


def has_words(points: Array) -> Array:
    """(n,) whether a text has words: points without are 0, all others have unit length."""
    return np.asarray(np.linalg.norm(points, axis=1) > 0.5)


def embed_texts(words: WordsOfTexts, weights: Array) -> Array:
    """(n, 128) points of unit length, of weighted words (w,) of a text; 0 for texts without words.

    Random signs a word: angles between texts are those of their TF-IDF, to within about a tenth.
    """
    from scipy.sparse import csr_array

    shape = words.n_texts, len(words.hashes)
    each = csr_array((weights[words.words].astype(np.float32), (words.rows, words.words)), shape=shape)
    points = np.asarray(each @ words.points)
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))
