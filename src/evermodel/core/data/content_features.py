"""Pictures and texts in numbers: what can be counted, compared and told of them where their values cannot."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Column
from evermodel.core.data.image_decoding import LARGEST_SIDE
from evermodel.core.errors import MissingExtra

SIDE = 32  # pixels to which a picture is brought first
PART = 4_096  # pictures whose pixels are held at once
THUMB = 4  # and to which for how its parts stand together
TOPICS = 8  # groups that the words of texts fall into, by their hash
PICTURE = ("brightness", "contrast", "sharpness", "red", "blue", "top", "left", "centre")
TEXT = ("length", "word length", "digits", "capitals", "signs", "not ASCII")
GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def describe_features(columns: Sequence[Column]) -> dict[str, str]:
    """Name of each describing number -> the picture or text column that it describes; inputs keep their names."""
    of, present = {"image": PICTURE, "text": TEXT}, {c.name for c in columns}
    found = {f"{c.name}.{what}": c.name for c in columns for what in of.get(c.kind, ())}
    return {n: c for n, c in found.items() if n not in present}


def with_descriptions(frame: pl.DataFrame, columns: Iterable[Column]) -> pl.DataFrame:
    """``frame`` with a Float64 column for each name of ``describe_features``; null where there is no picture or text.

    About 100 microseconds a picture. A picture that cannot be read has no description; no error is raised.
    """
    found = [_frame(frame[c.name], c.kind) for c in columns if c.kind in ("image", "text") and c.name in frame.columns]
    return frame.hstack([s for one in found for s in one if s.name not in frame.columns])


def _frame(values: pl.Series, kind: str) -> list[pl.Series]:
    names, x = (PICTURE, _in_parts(values, _of_pictures)) if kind == "image" else (TEXT, _of_texts(values))
    return [pl.Series(f"{values.name}.{n}", x[:, i]).fill_nan(None) for i, n in enumerate(names)]


def embed_contents(values: pl.Series) -> Array:
    """A column of pictures (Binary) or texts as points (n, d), d <= 24, for detectors of joint drift; NaN: no value.

    Pictures: their description and a 4 x 4 thumbnail; texts: theirs and how many words fall into each of 8 groups by
    their hash. No model is asked: what is seen is how the inputs look, not what they mean.
    """
    if values.dtype == pl.Binary:
        return _in_parts(values, lambda x: np.column_stack([_of_pictures(x), _thumbs(x)]))
    return np.column_stack([_of_texts(values), _topics(values)])


def _in_parts(values: pl.Series, of: Callable[[Array], Array]) -> Array:
    """``of`` the pixels of some pictures at a time: all of a batch would take a gigabyte."""
    return np.concatenate([of(pixels(values[at : at + PART])) for at in range(0, max(len(values), 1), PART)])


def pixels(values: pl.Series) -> Array:
    """(n, 32, 32, 3) in [0, 1] from the bytes of pictures; NaN where there is none that can be read."""
    found = np.full((len(values), SIDE, SIDE, 3), np.nan, dtype=np.float32)
    for row, data in enumerate(values):
        if data is not None:
            found[row] = _pixels(data)
    return found


def _pixels(data: bytes) -> Array | float:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra.for_package("pillow", "images", "Reading images") from None
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP", "PPM")) as picture:
            if max(picture.size) > LARGEST_SIDE:
                return float("nan")
            return np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), dtype=np.float32) / 255.0
    except (OSError, SyntaxError, ValueError):  # UnidentifiedImageError is an OSError
        return float("nan")


def _of_pictures(x: Array) -> Array:
    """(n, 8): see PICTURE. Sharpness is the mean step between neighbours; the last three are grey against the rest."""
    grey = x @ GREY
    mean, half, quarter = grey.mean(axis=(1, 2)), SIDE // 2, SIDE // 4
    sharp = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    red, blue = ((x[..., c] - grey).mean(axis=(1, 2)) for c in (0, 2))
    top, left = grey[:, :half].mean(axis=(1, 2)) - mean, grey[:, :, :half].mean(axis=(1, 2)) - mean
    centre = grey[:, quarter:-quarter, quarter:-quarter].mean(axis=(1, 2)) - mean
    return np.column_stack([mean, grey.std(axis=(1, 2)), sharp, red, blue, top, left, centre])


def _thumbs(x: Array) -> Array:
    step = SIDE // THUMB
    return np.asarray((x @ GREY).reshape(len(x), THUMB, step, THUMB, step).mean(axis=(2, 4)).reshape(len(x), -1))


def _of_texts(values: pl.Series) -> Array:
    """(n, 6): log of 1 + characters, characters a word, and shares of the characters."""
    text = pl.col("t")
    long = text.str.len_chars()

    def share(pattern: str) -> pl.Expr:
        return text.str.count_matches(pattern) / long.clip(lower_bound=1)

    found = pl.DataFrame({"t": values}).select(
        long.cast(pl.Float64).log1p().alias("length"),
        (long / text.str.count_matches(r"\S+").clip(lower_bound=1)).alias("word length"),
        share(r"\p{Nd}").alias("digits"),
        share(r"\p{Lu}").alias("capitals"),
        share(r"[^\p{L}\p{N}\s]").alias("signs"),
        share(r"[^\x00-\x7F]").alias("not ASCII"),
    )
    return found.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _topics(values: pl.Series) -> Array:
    """(n, 8) shares of the words of each text by their hash."""
    words = (
        pl.DataFrame({"t": values})
        .with_row_index("row")
        .select("row", pl.col("t").str.to_lowercase().str.extract_all(r"\p{L}+").alias("word"))
        .explode("word")
        .drop_nulls("word")
    )
    rows, group = words["row"].to_numpy(), (words["word"].hash(seed=0) % TOPICS).to_numpy()
    counts = np.zeros((len(values), TOPICS))
    np.add.at(counts, (rows, group), 1.0)
    counts /= np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    counts[values.is_null().to_numpy()] = np.nan
    return counts
