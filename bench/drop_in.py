"""Is an updated model file a drop-in for the deployed one: 24 files of five frameworks, after one and five updates.

    python bench/drop_in.py [--only keras-gru,…] [--updates 5] [--out FILE.json]

Each file is made by its plain framework on real rows, adopted with rows like those it was trained on, and updated block
by block with ``auto``. Then the version in service is saved without Evermodel's own proof, and a clean process with the
plain framework compares both files: same inputs and outputs, the saved file's answers equal to those of the version,
bytes, and the latency of 1 and 1,000 rows, taking turns. Prints a row a file and PASS or FAIL.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from drop_in_models import FILES, Deployed, make

import evermodel
from evermodel.core.model.capabilities import PlainFiles
from evermodel.registry.file_proof import read_proof_rows
from evermodel.registry.lookup import card_of, open_store
from evermodel.registry.versions import load_version

LIMIT = 1.1
PROBE = Path(__file__).with_name("drop_in_probe.py")


@dataclass(frozen=True)
class Row:
    """What a clean process found of one file after some updates; ratios are new / deployed."""

    file: str
    updates: int
    promoted: int
    same_signature: bool
    difference: float
    size: float
    latency_one: float
    latency_many: float
    seconds: float
    problem: str = ""

    @property
    def passes(self) -> bool:
        costs = (self.size, self.latency_one, self.latency_many)
        return not self.problem and self.same_signature and self.difference == 0.0 and all(c <= LIMIT for c in costs)


def probe(old: Path, new: Path, x: object, folder: Path) -> dict[str, object]:
    """Both files in a clean process with the plain framework: signatures, the new one's answers, latencies."""
    suffix = ".npy" if isinstance(x, np.ndarray) else ".npz" if isinstance(x, dict) else ".parquet"
    given = folder / f"rows{suffix}"
    if isinstance(x, np.ndarray):
        np.save(given, x)
    elif isinstance(x, dict):  # an array for each named input
        np.savez(given, **x)
    else:
        x.write_parquet(given)  # type: ignore[attr-defined]
    command = [sys.executable, "-I", str(PROBE), str(old), str(new), str(given), str(folder / "answers.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1])
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def check(deployed: Deployed, registry: Path, updates: int, promoted: int, began: float) -> Row:
    store = open_store(registry)
    card = card_of(store, deployed.name, None)
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / f"updated{deployed.saved_suffix}"
        evermodel.save(deployed.name, to=to, proof=False, registry=registry)
        model, rows = load_version(store, card), read_proof_rows(store, card)
        plugin = model.framework
        assert isinstance(plugin, PlainFiles)
        assert rows is not None
        x = plugin.plain_input(model.obj, model.transform(rows))
        found = probe(deployed.plain_file, to, x, Path(folder))
        answers = np.load(Path(folder) / "answers.npy")
        expected = np.asarray(plugin.plain_answers(model.obj, x))
    difference = float(np.abs(answers.reshape(len(answers), -1) - expected.reshape(len(expected), -1)).max())
    same = found["old"] == found["new"]
    costs = [float(found[k]) for k in ("size", "one", "many")]  # type: ignore[arg-type]
    return Row(deployed.name, updates, promoted, same, difference, *costs, time.monotonic() - began)


def run(name: str, updates: int) -> list[Row]:
    found, began = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        deployed = make(name, Path(folder))
        registry, promoted = Path(folder) / "registry", 0
        options = deployed.adopting
        evermodel.adopt(
            deployed.file, data=deployed.blocks[0], target=deployed.target, name=name, registry=registry, **options
        )
        for number in range(1, updates + 1):
            try:
                done = evermodel.update(name, deployed.blocks[number], registry=registry, seed=number)
                promoted += done.decision == "promote"
                if done.decision != "promote" and number == updates and not promoted:
                    evermodel.promote(name, str(done.challenger), registry=registry)  # what is asked is the file
                if number in (1, updates):
                    if done.decision != "promote" and number == 1:
                        evermodel.promote(name, str(done.challenger), registry=registry)
                    found.append(check(deployed, registry, number, promoted, began))
            except (evermodel.EvermodelError, RuntimeError) as error:
                broken = float("nan")
                row = Row(name, number, promoted, False, broken, broken, broken, broken, 0.0, str(error)[:120])
                found.append(row)
                break
    return found


def line(r: Row) -> str:
    if r.problem:
        return f"{r.file:<22}{r.updates:>2}  FAIL  {r.problem}"
    alike = "bit for bit" if r.difference == 0 else f"off by {r.difference:.1g}"
    signature = "same" if r.same_signature else "OTHER"
    return (
        f"{r.file:<22}{r.updates:>2} updates, {r.promoted} promoted  signature {signature}  answers {alike:<14} size "
        f"x{r.size:5.3f}  1 row x{r.latency_one:4.2f}  1,000 rows x{r.latency_many:4.2f}  {r.seconds:5.0f} s  "
        f"{'PASS' if r.passes else 'FAIL'}"
    )


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", help="names with commas")
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(FILES)
    rows = []
    for name in names:
        for row in run(name, options.updates):
            rows.append(row)
            print(line(row), flush=True)
            if options.out:
                options.out.write_text(json.dumps([asdict(r) for r in rows], indent=1))
    passed = sum(all(r.passes for r in rows if r.file == name) for name in names)
    print(f"{passed} of {len(names)} files are drop-ins after 1 and {options.updates} updates: ", end="")
    print("PASS" if passed == len(names) else "FAIL")


if __name__ == "__main__":
    main()
