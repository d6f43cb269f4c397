"""Uses a folder of a text classifier with transformers alone."""

from __future__ import annotations

import json
import sys


def main(folder: str, rows: str, to: str) -> None:
    """Answers the texts of ``rows`` with the model of ``folder`` into ``to``; prints the widths of input and output."""
    import numpy as np
    import polars as pl
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True, dtype="float32").eval()
    texts = [text or "" for text in pl.read_parquet(rows).to_series().to_list()]
    with torch.inference_mode():
        answers = [network(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0].numpy() for text in texts]
    np.save(to, np.stack(answers))
    sys.stdout.write(json.dumps({"inputs": [1], "outputs": list(np.shape(answers)[1:])}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
