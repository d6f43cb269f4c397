"""Networks for pictures of some thousand weights, and pictures that are drawn: no file is downloaded."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SIDE = 24
COLOURS = {"stop": (220, 30, 30), "give way": (240, 240, 60), "priority": (30, 60, 220), "end": (60, 200, 60)}


def draw_picture(label: str, random: np.random.Generator, light: float = 1.0, side: int = SIDE) -> bytes:
    """A coloured square on noise, as PNG."""
    from PIL import Image

    pixels = random.integers(0, 90, (side, side, 3)).astype(np.float32)
    top, left = random.integers(2, side // 3, 2)
    pixels[top : top + side // 2, left : left + side // 2] = COLOURS[label] + random.normal(0, 10, 3)
    kept = io.BytesIO()
    Image.fromarray(np.clip(pixels * light, 0, 255).astype(np.uint8)).save(kept, "PNG")
    return kept.getvalue()


def make_pictures(labels: Sequence[str], n: int, seed: int = 0, light: float = 1.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    drawn = [labels[i] for i in random.integers(0, len(labels), n)]
    return pl.DataFrame({"picture": [draw_picture(label, random, light) for label in drawn], "sign": drawn})


def write_class_folders(frame: pl.DataFrame, to: Path) -> Path:
    """A folder a class, a file a picture."""
    for row, (data, label) in enumerate(frame.select("picture", "sign").iter_rows()):
        (to / label).mkdir(parents=True, exist_ok=True)
        (to / label / f"{row:05d}x.png").write_bytes(data)
    return to


def make_config(kind: str, labels: Sequence[str], channels: int = 3) -> Any:
    import transformers

    named = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    if kind == "vit":
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
        return transformers.ViTConfig(image_size=SIDE, patch_size=6, num_channels=channels, **sizes, **named)
    if kind == "resnet":
        return transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_channels=channels, **named
        )
    if kind == "convnext":
        return transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=2, **named)
    if kind == "mobilenet":
        return transformers.MobileNetV2Config(depth_multiplier=0.1, min_depth=8, image_size=SIDE, **named)
    raise ValueError(kind)


def make_image_folder(
    to: Path,
    labels: Sequence[str] = ("stop", "give way"),
    kind: str = "vit",
    *,
    steps: int = 30,
    channels: int = 3,
    processor: dict[str, Any] | None = None,
) -> Path:
    """The folder of a small classifier, trained on ``make_pictures`` by PyTorch and transformers alone."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    told = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.45] * channels,
        "image_std": [0.25] * channels,
        **(processor or {}),
    }
    to.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = AutoModelForImageClassification.from_config(make_config(kind, labels, channels))
    network.save_pretrained(to)
    (to / "preprocessor_config.json").write_text(json.dumps(told))
    rows = make_pictures(labels, 128)
    made = AutoImageProcessor.from_pretrained(to, backend="pil")
    mode = "L" if channels == 1 else "RGB"
    pictures = [Image.open(io.BytesIO(data)).convert(mode) for data in rows["picture"]]
    if channels == 1:
        arrays = [np.asarray(p)[..., None] for p in pictures]
        x = made(arrays, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    else:
        x = made(pictures, return_tensors="pt")["pixel_values"]
    target = torch.tensor([list(labels).index(label) for label in rows["sign"]])
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(pixel_values=x).logits, target).backward()
        optimizer.step()
    network.eval().save_pretrained(to)
    return to
