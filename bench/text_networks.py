"""Networks on text: one update by ``auto`` beside two epochs of plain fine-tuning on the new rows.

    python bench/text_networks.py [--seeds 1] [--first 0] [--networks gru,lstm,transformer]

A GRU, an LSTM and a small Transformer are trained on token ids of five domains of CLINC150 and deployed as ``.keras``.
New rows have three further domains. Plain fine-tuning loads the file, fits the new rows for two epochs and saves it;
``evermodel update`` does its own; each in its own process, whose processor seconds are compared (imports included).
Both are scored on later rows that neither has seen. Bar: log loss no higher, AUC no more than .002 lower, less than 1.5
times the time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import polars as pl
from stream_data import read

import evermodel

LENGTH, WORDS = 16, 2000
PLAIN = """
import sys, numpy as np, polars as pl, keras
model = keras.models.load_model(sys.argv[1])
rows = pl.read_csv(sys.argv[2])
model.fit(rows.drop("wanted").to_numpy(), rows["wanted"].to_numpy(), epochs=2, batch_size=32, verbose=0)
model.save(sys.argv[3])
"""
UPDATE = """
import sys, evermodel
done = evermodel.update("net", sys.argv[2], registry=sys.argv[1])
print(done.headline)
"""


def make_rows(seed: int, folder: Path) -> dict[str, pl.DataFrame]:
    """reference, new and later rows: token ids t0 … t15 and whether the intent is one of every second."""
    random = np.random.default_rng(seed)
    frame = read("clinc150_intents").filter(pl.col("domain_order") >= 0)
    chosen = frame["intent"].unique().sort().to_list()[::2]
    frame = frame.with_row_index("row")[random.permutation(frame.height)]
    reference = frame.filter(pl.col("domain_order") <= 5)[:4000]
    rest = frame.filter((pl.col("domain_order") <= 8) & ~pl.col("row").is_in(reference["row"].implode()))
    counts: dict[str, int] = {}
    for text in reference["text"]:
        for word in text.lower().split():
            counts[word] = counts.get(word, 0) + 1
    known = {w: i + 2 for i, w in enumerate(sorted(counts, key=lambda w: (-counts[w], w))[:WORDS])}
    found = {}
    for name, part in (("reference", reference), ("new", rest[:2500]), ("later", rest[2500:5500])):
        ids = np.zeros((part.height, LENGTH), dtype=np.int64)
        for i, text in enumerate(part["text"]):
            words = text.lower().split()[:LENGTH]
            ids[i, : len(words)] = [known.get(word, 1) for word in words]
        columns = {f"t{j}": ids[:, j] for j in range(LENGTH)}
        found[name] = pl.DataFrame({**columns, "wanted": part["intent"].is_in(chosen).cast(pl.Int64)})
        found[name].write_csv(folder / f"{name}.csv")
    return found


def make_network(kind: str, seed: int, reference: pl.DataFrame, to: Path) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    source = keras.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(WORDS + 2, 32)(source)
    if kind == "transformer":
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 16)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, "relu")(x)))
        x = layers.GlobalAveragePooling1D()(x)
    else:
        x = (layers.GRU if kind == "gru" else layers.LSTM)(32)(x)
    net = keras.Model(source, layers.Dense(1, "sigmoid")(x))
    net.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    net.fit(reference.drop("wanted").to_numpy(), reference["wanted"].to_numpy(), epochs=8, batch_size=32, verbose=0)
    net.save(to)


def timed(code: str, *words: object) -> float:
    """Processor seconds of a fresh interpreter that runs ``code``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *map(str, words)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def score(predicted: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    p = predicted.reshape(-1)
    return float(log_loss(y, p)), float(roc_auc_score(y, p))


def run(kind: str, seed: int) -> dict[str, Any]:
    import keras

    with tempfile.TemporaryDirectory() as at:
        folder = Path(at)
        rows = make_rows(seed, folder)
        deployed, registry = folder / "deployed.keras", folder / "registry"
        make_network(kind, seed, rows["reference"], deployed)
        x, y = rows["later"].drop("wanted").to_numpy(), rows["later"]["wanted"].to_numpy()
        plain_seconds = timed(PLAIN, deployed, folder / "new.csv", folder / "plain.keras")
        plain = score(keras.models.load_model(folder / "plain.keras").predict(x, verbose=0), y)
        evermodel.adopt(deployed, data=rows["reference"], target="wanted", name="net", registry=registry)
        seconds = timed(UPDATE, registry, folder / "new.csv")
        evermodel.save("net", to=folder / "updated.keras", proof=False, registry=registry)
        updated = score(keras.models.load_model(folder / "updated.keras").predict(x, verbose=0), y)
        before = score(keras.models.load_model(deployed).predict(x, verbose=0), y)
    passes = updated[0] <= plain[0] and updated[1] >= plain[1] - 0.002 and seconds < 1.5 * plain_seconds
    return {
        "kind": kind,
        "seed": seed,
        "before": before,
        "plain": plain,
        "auto": updated,
        "seconds": (plain_seconds, seconds),
        "passes": passes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="gru,lstm,transformer")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = []
    for kind in given.networks.split(","):
        for seed in range(given.first, given.first + given.seeds):
            r = run(kind, seed)
            found.append(r)
            cells = "  ".join(f"{k} log loss {r[k][0]:.4f} AUC {r[k][1]:.4f}" for k in ("before", "plain", "auto"))
            seconds = f"{r['seconds'][0]:.1f} s, {r['seconds'][1]:.1f} s (x{r['seconds'][1] / r['seconds'][0]:.2f})"
            print(f"{kind:<12}{seed}  {cells}  {seconds}  {'PASS' if r['passes'] else 'FAIL'}", flush=True)
            if given.out:
                given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
