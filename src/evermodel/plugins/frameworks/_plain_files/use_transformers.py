"""Uses a folder of a classifier of texts or pictures with transformers alone."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(folder: str, rows: str, to: str) -> None:
    """Answers the rows of ``rows`` with the model of ``folder`` into ``to``; prints the widths of input and output."""
    import numpy as np
    import polars as pl
    import torch

    network, prepare = load_pictures(folder) if (Path(folder) / "preprocessor_config.json").is_file() else load(folder)
    values = pl.read_parquet(rows).to_series().to_list()
    with torch.inference_mode():
        answers = [network(**prepare(value)).logits[0].numpy() for value in values]
    np.save(to, np.stack(answers))
    sys.stdout.write(json.dumps({"inputs": [1], "outputs": list(np.shape(answers)[1:])}))


def load(folder: str) -> tuple[Any, Callable[[Any], Any]]:
    """The network for texts, and what makes its input of one."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True, dtype="float32")
    return network.eval(), lambda text: tokenizer(text or "", truncation=True, return_tensors="pt")


def load_pictures(folder: str) -> tuple[Any, Callable[[Any], Any]]:
    """The network for pictures, and what makes its input of the bytes of one."""
    from PIL import Image, ImageOps
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    network = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True, dtype="float32").eval()
    mode = "L" if getattr(network.config, "num_channels", 3) == 1 else "RGB"

    def prepare(data: bytes) -> Any:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert(mode)
        return processor(picture, return_tensors="pt")

    return network, prepare


if __name__ == "__main__":
    main(*sys.argv[1:4])
