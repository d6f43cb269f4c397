"""Pictures become tensors by the folder's own image processor: size, resampling, mean and deviation as it says."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.image_decoding import open_picture
from evermodel.core.errors import BadData, BadModel, Unsafe
from evermodel.plugins.frameworks._transformers.folder_check import CONFIG, PROCESSOR
from evermodel.plugins.frameworks._transformers.input_readers import InputKind
from evermodel.plugins.frameworks._transformers.network_files import import_transformers, refuse_broken

logger = logging.getLogger(__name__)
LARGEST_INPUT = 4_096  # pixels of a side that a processor may ask for
CROP = 0.1  # of a side, at most, is cut off a picture that is trained on
BRIGHTER = 1.25  # times, at most, a picture that is trained on is brightened or darkened
PROBE = (48, 64)  # height and width of the picture that a folder is tried with
GREY = (128, 128, 128)


class Picture(NamedTuple):
    """A row: its place, for whoever must be told which picture is broken, and the bytes of its file."""

    row: int
    data: bytes | None


class ImageReader:
    """Pictures as the processor of transformers that works on Pillow makes them, whatever else is installed.

    So answers do not change with a package beside it; the one on torchvision differs from it by rounding.
    """

    kind: InputKind = "image"
    rows_at_once = 16  # pictures of 224 x 224 in a large network take a gigabyte beyond

    def __init__(self, files: Mapping[str, bytes], config: Mapping[str, Any]) -> None:
        """Raises BadModel where the processor cannot be read, Unsafe where it brings code of its own."""
        self._processor = _make_processor(files, config)
        self._channels = int(config.get("num_channels") or 3)
        if self._channels not in (1, 3):
            raise BadModel(f"The network takes pictures of {self._channels} channels; pictures have 1 or 3.")

    def read(self, x: Any, /) -> Sequence[Picture]:
        """The bytes of each picture; they are decoded when their batch is made, so that memory stays small."""
        if len(x.columns) != 1:
            raise BadData(
                f"The model reads one picture; the rows have {len(x.columns)} columns: {', '.join(x.columns[:8])}."
            )
        values = x.to_series()
        if values.dtype not in (pl.Binary, pl.Null):
            raise BadData(f"{values.name!r} must hold pictures. Got {values.dtype}.", "Give PNG or JPEG bytes.")
        return [Picture(row, data) for row, data in enumerate(values)]

    def measure(self, rows: Sequence[Picture], /) -> list[int]:
        return [1] * len(rows)

    def split(self, rows: Sequence[Picture], size: int, /) -> Iterator[Array]:
        for at in range(0, len(rows), size):
            yield np.arange(at, min(at + size, len(rows)))

    def batch(self, rows: Sequence[Picture], /) -> dict[str, Any]:
        """``pixel_values`` (n, channels, height, width). Raises BadData naming the first row without a picture."""
        return self._process([self._open(one) for one in rows])

    def batch_varied(self, rows: Sequence[Picture], random: np.random.Generator, /) -> dict[str, Any]:
        """The same, each picture cropped and brightened a little, which changes no label; none is mirrored."""
        return self._process([vary_picture(self._open(one), random) for one in rows])

    def check_network(self, network: Any, /) -> None:
        """A grey picture goes through both, so that a processor of another network shows now and not in service."""
        import torch
        from PIL import Image

        height, width = PROBE
        grey = Image.new("L" if self._channels == 1 else "RGB", (width, height), 128 if self._channels == 1 else GREY)
        with torch.inference_mode(), refuse_broken(f"A picture made by {PROCESSOR}"):
            network(**self._process([grey]))

    def _open(self, one: Picture) -> Any:
        """Upright, as transformers opens pictures whose cameras noted how they were held."""
        from PIL import ImageOps

        return ImageOps.exif_transpose(open_picture(one.data, one.row, self._channels))

    def _process(self, pictures: list[Any]) -> dict[str, Any]:
        import torch

        arrays = [np.asarray(picture).reshape(picture.height, picture.width, self._channels) for picture in pictures]
        made = [np.asarray(a, np.float32) for a in self._run(arrays)]
        shapes = sorted({a.shape for a in made})
        if len(shapes) > 1:
            raise BadData(
                f"The model's image processor makes pictures of different sizes: {shapes[0][1:]} and {shapes[1][1:]}.",
                f"Give pictures of one size, or a size in {PROCESSOR} that all are brought to.",
            )
        return {"pixel_values": torch.from_numpy(np.stack(made))}

    def _run(self, arrays: list[Array]) -> list[Array]:
        return list(self._processor(arrays, input_data_format="channels_last")["pixel_values"])


def vary_picture(picture: Any, random: np.random.Generator) -> Any:
    """A window of at least nine tenths of each side, brighter or darker by a quarter at most."""
    from PIL import Image, ImageEnhance

    width, height = picture.size
    cut = random.uniform(0.0, CROP, 2)
    left, top = random.uniform(0.0, 1.0, 2) * cut * (width, height)
    window = (left, top, left + (1.0 - cut[0]) * width, top + (1.0 - cut[1]) * height)
    factor = float(BRIGHTER ** random.uniform(-1.0, 1.0))
    cropped = picture.resize(picture.size, Image.Resampling.BILINEAR, box=tuple(map(float, window)))
    return ImageEnhance.Brightness(cropped).enhance(factor)


def _make_processor(files: Mapping[str, bytes], config: Mapping[str, Any]) -> Any:
    told = _read_settings(files[PROCESSOR])
    transformers = import_transformers()
    with tempfile.TemporaryDirectory(prefix="evermodel-") as folder, refuse_broken(PROCESSOR):
        (Path(folder) / PROCESSOR).write_text(json.dumps(told))
        (Path(folder) / CONFIG).write_text(json.dumps({"model_type": config.get("model_type")}))
        return transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )


def _read_settings(data: bytes) -> dict[str, Any]:
    """Raises BadModel for what is no JSON object or asks for huge pictures, Unsafe for code of its own."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        raise BadModel(f"{PROCESSOR} cannot be read: it is no JSON.", "Copy the folder again.") from None
    if not isinstance(told, dict):
        raise BadModel(f"{PROCESSOR} holds no JSON object.", "Copy the folder again.")
    if told.get("auto_map"):
        raise Unsafe(
            f"{PROCESSOR} names Python code of its own (auto_map), which would have to run.",
            "Only image processors that transformers itself knows are taken.",
        )
    for name in ("size", "crop_size", "pad_size"):
        asked = told.get(name)
        sides = [*asked.values()] if isinstance(asked, dict) else [asked]
        wrong = [side for side in sides if side is not None and not _is_side(side)]
        if wrong:
            raise BadModel(
                f"{PROCESSOR} says {name} {str(wrong[0])[:40]}; a side is a whole number from 1 to {LARGEST_INPUT:,}."
            )
    return told


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_INPUT
