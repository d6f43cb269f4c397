"""A small ResNet for traffic signs, trained in bright light, whose roads grow dim and dark: never updated, full, auto.

    python bench/traffic_signs.py [--kind resnet|vit] [--only never,full,auto] [--epochs 14] [--watch]

21 classes of the German traffic sign benchmark; the deployed model is trained on the bright tracks by transformers
alone. Then dim and dark tracks come in two blocks each, whole tracks in one block. Each model is scored on the next
block before that updates it; updates are made by Python as a user would, judged as usual. ``--watch`` updates it
once with three blocks instead, and shows the last to ``watch``: as it is, then with one class covered.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import evermodel
from evermodel.monitoring.alarms.alarm_wording import describe_alarm

SIDE = 40
BLOCKS = ("dim a", "dim b", "dark a", "dark b")
WAYS: dict[str, dict[str, Any]] = {
    "full": {"strategy": "full"},
    "head": {"strategy": "head"},
    "lora": {"strategy": "lora"},
    "auto": {},
}


def read_signs() -> dict[str, pl.DataFrame]:
    """Rows of the bright tracks, and of each block; a track is in one of them."""
    at = Path(os.environ["EVERMODEL_DATA"]) / "traffic_signs_gtsrb" / "traffic_signs_gtsrb.parquet"
    frame = pl.read_parquet(at).filter(pl.col("in_core"))
    place = (pl.col("track").rank("dense").over("condition", "sign_class") % 2).alias("half")
    sign = pl.col("sign_class").cast(pl.String)  # tracks are numbered class by class
    frame = frame.with_columns(place, sign.alias("sign"), pl.format("{}-{}", sign, "track").alias("track"))
    bright = frame.filter(pl.col("condition") == "1_bright")
    found = {"bright": bright}
    for light, condition in (("dim", "2_dim"), ("dark", "3_dark")):
        for half, name in ((1, "a"), (0, "b")):
            rows = frame.filter((pl.col("condition") == condition) & (pl.col("half") == half))
            found[f"{light} {name}"] = rows
    return {name: rows.select("png", "track", "sign") for name, rows in found.items()}


def make_network(kind: str, labels: list[str]) -> Any:
    import transformers

    named = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    if kind == "vit":
        sizes = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 192}
        config: Any = transformers.ViTConfig(image_size=SIDE, patch_size=5, **sizes, **named)
    else:
        config = transformers.ResNetConfig(
            embedding_size=24, hidden_sizes=[24, 48, 96], depths=[1, 1, 1], layer_type="basic", **named
        )
    return transformers.AutoModelForImageClassification.from_config(config)


def deploy(kind: str, rows: pl.DataFrame, epochs: int, to: Path) -> None:
    """Trained from random weights by transformers alone."""
    import torch
    from PIL import Image
    from transformers import ViTImageProcessorPil

    labels = sorted(rows["sign"].unique(), key=int)
    torch.manual_seed(0)
    network = make_network(kind, labels)
    processor = ViTImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.4, 0.4, 0.4], image_std=[0.25, 0.25, 0.25]
    )
    pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in rows["png"]]
    x = processor(pictures, return_tensors="pt")["pixel_values"]
    y = torch.tensor([labels.index(label) for label in rows["sign"]])
    random, steps = np.random.default_rng(0), epochs * -(-len(y) // 32)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=0.01)
    network.train()
    for step in range(steps):
        at = random.integers(0, len(y), 32)
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min((step + 1) / 30, (steps - step) / steps * 1.05, 1.0)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x[at]).logits, y[at]).backward()
        optimizer.step()
    network.eval().save_pretrained(to)
    processor.save_pretrained(to)


def score(model: Any, rows: pl.DataFrame) -> float:
    answers = model.predict(rows.select("png"))["prediction"].cast(pl.String)
    return float((answers == rows["sign"]).mean())


def follow(folder: Path, blocks: dict[str, pl.DataFrame], way: dict[str, Any] | None, registry: Path) -> None:
    """Accuracy on each block before it updates the model; what was decided, and the processor seconds it took."""
    opened = evermodel.open(str(registry))
    model = opened.adopt(folder, data=blocks["bright"], target="sign", entity="track", name="signs")
    parts = []
    for number, name in enumerate(BLOCKS):
        accuracy = score(model, blocks[name])
        parts.append(f"{name} {accuracy:.3f}")
        if way is not None and number + 1 < len(BLOCKS):
            began = time.process_time()
            result = model.update(blocks[name], **way)
            parts.append(f"[{result.decision}, {time.process_time() - began:.0f} s]")
    print("   ", "  ".join(parts), flush=True)


def cover_class(rows: pl.DataFrame, sign: str) -> pl.DataFrame:
    """The same rows with a grey patch over the middle of each picture of one class, as a sticker would."""
    from PIL import Image

    covered = []
    for data, label in rows.select("png", "sign").iter_rows():
        if label == sign:
            picture = Image.open(io.BytesIO(data)).convert("RGB")
            width, height = picture.size
            picture.paste((90, 90, 90), (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
            kept = io.BytesIO()
            picture.save(kept, "PNG")
            data = kept.getvalue()
        covered.append(data)
    return rows.with_columns(pl.Series("png", covered))


def watch(folder: Path, blocks: dict[str, pl.DataFrame], kept: Path) -> None:
    """What watch says of the last block, the second half of which has a class that is covered or not."""
    opened = evermodel.open(str(kept / "registry"))
    model = opened.adopt(folder, data=blocks["bright"], target="sign", entity="track", name="signs")
    model.update(pl.concat([blocks[name] for name in BLOCKS[:3]]))
    rows = blocks[BLOCKS[3]].sample(fraction=1.0, shuffle=True, seed=0)
    first, second = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    for sign in [None, *second["sign"].value_counts(sort=True)["sign"][:5]]:
        shown = second if sign is None else cover_class(second, sign)
        name = "no class covered" if sign is None else f"class {sign} covered"
        shutil.copytree(kept / "registry", kept / name)
        watched = evermodel.open(str(kept / name))["signs"]
        before, after = score(watched, first), score(watched, shown)
        watched.watch(first, window="50rows")
        found = watched.watch(shown, window="50rows")
        share = float((second["sign"] == sign).mean()) if sign else 0.0
        print(f"{name} ({share:.1%} of the rows): accuracy {before:.3f}, then {after:.3f}")
        for alarm in found.status.open:
            print(f"    {alarm.kind} of {alarm.subject}: {describe_alarm(alarm)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("resnet", "vit"), default="resnet")
    parser.add_argument("--only", default="never,full,auto")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--watch", action="store_true")
    asked = parser.parse_args()
    blocks = read_signs()
    with tempfile.TemporaryDirectory() as kept:
        began = time.process_time()
        deploy(asked.kind, blocks["bright"], asked.epochs, Path(kept) / "signs")
        print(f"{asked.kind}, deployed after {time.process_time() - began:.0f} processor seconds", flush=True)
        if asked.watch:
            watch(Path(kept) / "signs", blocks, Path(kept))
            return 0
        for name in asked.only.split(","):
            print(name, flush=True)
            follow(Path(kept) / "signs", blocks, WAYS.get(name), Path(kept) / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
