"""Merging two models of ``--gb`` gigabytes in bfloat16, and more, beside ``cp`` of one of them and beside mergekit.

    python bench/merge.py [--gb 1.1] [--models 2] [--mergekit PYTHON] [--folder FOLDER] [--shards 1]

Each merge is a process of its own. Its memory is the most that is resident while it merges,
less what was resident before.
``--mergekit`` names the Python of an environment where mergekit is installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from evermodel.core.tensors.model_weights import read_model_weights
from evermodel.core.tensors.tensor_file import encode_header

WIDTH, VOCABULARY = 2048, 32_000
MEASURE = """
import sys, time
def resident(field):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(field)) / 1024
def measured(merge):
    open("/proc/self/clear_refs", "w").write("5")  # the most that was resident begins anew
    before, began, spent = resident("VmRSS"), time.perf_counter(), time.process_time()
    merge()
    print(time.perf_counter() - began, time.process_time() - spent, resident("VmHWM") - before)
method, base, to, *models = sys.argv[1:]
"""
MERGE = (
    MEASURE
    + """
from evermodel.searching.merge.merge_files import merge_files
measured(lambda: merge_files(models, to=to, method=method, base=base or None))
"""
)
MERGEKIT = (
    MEASURE
    + """
import torch
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge
each = [{"model": model, "parameters": {"weight": 1.0, "density": 0.5}} for model in models]
told = {"merge_method": method, "dtype": "bfloat16", "models": each, **({"base_model": base} if base else {})}
told = MergeConfiguration.model_validate(told)
measured(lambda: run_merge(told, to, options=MergeOptions(copy_tokenizer=False, quiet=True)))
"""
)


def write_model(folder: Path, layers: int, seed: int, shards: int) -> None:
    """A Llama of random weights, those of ``seed`` a little away from those of seed 0."""
    folder.mkdir()
    shapes = {"model.embed_tokens.weight": (VOCABULARY, WIDTH), "model.norm.weight": (WIDTH,)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        shapes |= {f"{at}.self_attn.{name}_proj.weight": (WIDTH, WIDTH) for name in "qkvo"}
        shapes |= {f"{at}.mlp.{name}_proj.weight": (4 * WIDTH, WIDTH) for name in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj.weight": (WIDTH, 4 * WIDTH)}
        shapes |= {f"{at}.{name}_layernorm.weight": (WIDTH,) for name in ("input", "post_attention")}
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH}
    config |= {"intermediate_size": 4 * WIDTH, "num_hidden_layers": layers, "num_attention_heads": 16}
    config |= {"vocab_size": VOCABULARY, "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config))
    placed = {}
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        mine = {name: ("BF16", shapes[name]) for name in sorted(shapes)[shard::shards]}
        with (folder / file).open("wb") as out:
            out.write(encode_header(mine, {"format": "pt"}))
            for place, (_, shape) in enumerate(mine.values()):
                random, other = np.random.default_rng([0, shard, place]), np.random.default_rng([seed, shard, place])
                left = int(np.prod(shape))
                while left:
                    count = min(left, 1 << 22)
                    values = random.standard_normal(count, np.float32) * np.float32(0.02)
                    if seed:
                        values += other.standard_normal(count, np.float32) * np.float32(0.002)
                    out.write((values.view(np.uint32) >> 16).astype(np.uint16).data)
                    left -= count
        placed |= dict.fromkeys(mine, file)
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))


def timed_copy(source: Path, to: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["cp", "-r", str(source), str(to)], check=True)
    subprocess.run(["sync", "-f", str(to)], check=True)
    seconds = time.perf_counter() - began
    shutil.rmtree(to)
    return seconds


def timed_merge(
    python: str, code: str, method: str, base: Path | None, to: Path, models: list[Path]
) -> tuple[float, ...]:
    words = [python, "-c", code, method, str(base or ""), str(to), *map(str, models)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return tuple(float(number) for number in done.stdout.split()[-3:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gb", type=float, default=1.1)
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--mergekit")
    parser.add_argument("--folder")
    parser.add_argument("--methods", default="linear,slerp,ties,dare,task_arithmetic")
    asked = parser.parse_args()
    layers = max(1, round((asked.gb * 1e9 / 2 - VOCABULARY * WIDTH) / (16 * WIDTH * WIDTH)))
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        folder = Path(made)
        places = [folder / f"m{seed}" for seed in range(asked.models + 1)]
        for seed, place in enumerate(places):
            write_model(place, layers, seed, asked.shards)
        size = sum(f.stat().st_size for f in places[0].glob("*.safetensors"))
        print(f"{asked.models} models of {size / 1e9:.2f} GB, {asked.shards} files each", flush=True)
        copied = timed_copy(places[1], folder / "copy")
        print(f"cp of one, with sync: {copied:.1f} s\n", flush=True)
        print("| method | seconds | CPU | times cp | MB | mergekit: seconds | CPU | MB | equal bits |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        for method in asked.methods.split(","):
            base = places[0] if method in ("ties", "dare", "task_arithmetic") else None
            out, models = folder / "out", places[1:3] if method == "slerp" else places[1:]
            seconds, spent, memory = timed_merge(sys.executable, MERGE, method, base, out, models)
            row = f"| {method} | {seconds:.1f} | {spent:.1f} | {seconds / copied:.1f} | {memory:.0f} |"
            if asked.mergekit and method in ("linear", "ties"):
                theirs, busy, more = timed_merge(asked.mergekit, MERGEKIT, method, base, folder / "theirs", models)
                row += f" {theirs:.1f} | {busy:.1f} | {more:.0f} | {compare(out, folder / 'theirs'):.4%} |"
                shutil.rmtree(folder / "theirs")
            print(row, flush=True)
            shutil.rmtree(out)


def compare(one: Path, other: Path) -> float:
    """The share of the numbers that have the same bits."""
    same = count = 0
    theirs = read_model_weights(other).tensors
    for name, tensor in read_model_weights(one).tensors.items():
        a, b = (np.memmap(t.file, np.uint16, "r", t.start, (t.size,)) for t in (tensor, theirs[name]))
        same, count = same + int((a == b).sum()), count + tensor.size
    return same / count


if __name__ == "__main__":
    main()
