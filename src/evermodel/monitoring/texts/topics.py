"""What texts are about: how near each is to texts of the reference rows, and to which group of them it belongs."""

from __future__ import annotations

import base64
import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.monitoring.texts.word_table import WordsOfTexts, hash_words, read_signs

CENTRES, TOPICS = 128, 24  # of k-means: by which novelty is measured, and by which texts are grouped
MOST_COORDINATES = 1_024  # of a network's points, which are kept as they are
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
        near = _find_centres(points, CENTRES)
        groups = _find_centres(points, TOPICS)
        return None if near is None or groups is None else cls(near, groups)

    def locate_texts(self, points: Array) -> tuple[Array, Array]:
        """Of points (n, d): the squared distance to the nearest centre, and the group. NaN and -1: no words."""
        group = np.where(has_words(points), _measure_distances(points, self.groups).argmin(axis=1), -1)
        return _find_nearest(points, self.near), group


@dataclass(frozen=True)
class NetworkView:
    """Centres of the reference rows' texts as a network sees them; ``middle`` (d,) is where these lie on average."""

    near: str
    middle: tuple[float, ...]

    @classmethod
    def find(cls, embeddings: Array) -> NetworkView | None:
        """Centres of what a network makes of texts (n, d); None for too few of them."""
        projected = project_embeddings(embeddings)
        middle = np.round(projected.mean(axis=0), 6)
        near = _find_centres(_center_points(projected, middle), CENTRES)
        return None if near is None else cls(near, tuple(middle.tolist()))

    def measure_distances(self, embeddings: Array) -> Array:
        """(n,) squared distance of texts to the nearest centre."""
        return _find_nearest(_center_points(project_embeddings(embeddings), np.asarray(self.middle)), self.near)


def _find_nearest(points: Array, near: str) -> Array:
    """(n,) squared distance of points of unit length to the nearest centre; NaN for those that are 0."""
    return np.where(has_words(points), 1.0 + _measure_distances(points, near).min(axis=1), np.nan)


def _find_centres(points: Array, most: int) -> str | None:
    """Centres by k-means, as text; None for too few different points. Source: Arthur & Vassilvitskii (2007)."""
    from scipy.cluster.vq import kmeans2

    points = points[has_words(points)].astype(np.float64)
    n = min(most, len(np.unique(np.round(points, 3), axis=0)) // TEXTS_A_CENTRE)
    if n < FEWEST_CENTRES:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # such a centre is left out
        centres, of = kmeans2(points, n, iter=15, minit="++", rng=0)
    used = centres[np.bincount(of, minlength=n) > 0]
    return base64.b64encode(np.round(used * FINE).astype(np.int8).tobytes()).decode()


def _measure_distances(points: Array, centres: str) -> Array:
    """(n, c) squared distances, less the squared length of the points."""
    at = np.frombuffer(base64.b64decode(centres), dtype=np.int8).reshape(-1, points.shape[1]).astype(np.float32) / FINE
    return np.asarray((at**2).sum(axis=1) - 2.0 * (points @ at.T), dtype=np.float32)


def has_words(points: Array) -> Array:
    """(n,) whether a text has words: points without are 0, all others have unit length."""
    return np.asarray(np.linalg.norm(points, axis=1) > 0.5)


def project_embeddings(embeddings: Array) -> Array:
    """What a network makes of texts (n, d), where d is large brought to 128 by signs that each release draws alike."""
    if embeddings.shape[1] <= MOST_COORDINATES:
        return np.where(np.isfinite(embeddings), embeddings, 0.0)
    signs = hash_words(pl.Series([str(i) for i in range(embeddings.shape[1])], dtype=pl.String))
    projected = embeddings @ read_signs(signs) / embeddings.shape[1] ** 0.5
    return np.where(np.isfinite(projected), projected, 0.0)


def _center_points(projected: Array, middle: Array) -> Array:
    """(n, d) points of unit length around ``middle``."""
    points = projected - middle
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def embed_words(words: WordsOfTexts, weights: Array) -> Array:
    """(n, 128) points of unit length, of weighted words (w,) of a text; 0 for texts without words.

    Random signs a word: angles between texts are those of their TF-IDF, to within about a tenth.
    """
    from scipy.sparse import csr_array

    shape = words.n_texts, len(words.hashes)
    each = csr_array((weights[words.words].astype(np.float32), (words.rows, words.words)), shape=shape)
    points = np.asarray(each @ words.points)
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))
