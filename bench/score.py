"""Ten million rows scored from Parquet to Parquet: memory, an interruption by ``kill -9``, no row lost or repeated.

$ PYTHONPATH=src python bench/score.py --rows 10000000
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import peers
import polars as pl

FOLDER = peers.OUT / "score"
LIMIT_GB = 2.0


def make(rows: int) -> Path:
    """The rows, 20 numbers each, and a registry with a LightGBM model of ten trees."""
    import lightgbm

    import evermodel

    FOLDER.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    names = [f"f{i}" for i in range(20)]
    if not (FOLDER / "registry").exists():
        x = random.normal(size=(5000, 20))
        y = (x[:, :5].sum(axis=1) + random.normal(size=5000) > 0).astype(int)
        settings = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1}
        lightgbm.train(settings, lightgbm.Dataset(x, y), 10).save_model(FOLDER / "model.txt")
        frame = pl.DataFrame({n: x[:, i] for i, n in enumerate(names)}).with_columns(y=pl.Series(y))
        evermodel.adopt(
            FOLDER / "model.txt", data=frame, target="y", name="m", shuffled=True, registry=FOLDER / "registry"
        )
    at = FOLDER / f"rows{rows}.parquet"
    if not at.exists():
        parts = []
        for number, begin in enumerate(range(0, rows, 500_000)):
            n = min(500_000, rows - begin)
            part = pl.DataFrame({name: random.normal(size=n).astype(np.float32) for name in names})
            parts.append(FOLDER / f"part{number}.parquet")
            part.with_columns(id=pl.int_range(begin, begin + n)).write_parquet(parts[-1])
        pl.scan_parquet(parts).sink_parquet(at, row_group_size=100_000)
        for part in parts:
            part.unlink()
    return at


def run(rows: Path, to: Path, kill_at: int | None) -> tuple[float, float, str]:
    """Peak memory in GB, seconds, and what was printed; killed once so many parts are there."""
    code = "from evermodel.cli import main; main()"
    words = [sys.executable, "-W", "ignore", "-c", code, "score", "m", str(rows), "--to", str(to)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    began, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [*words, "--registry", str(FOLDER / "registry")], env=env, stdout=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(int(line.split()[1]) / 1e6 for line in status.splitlines() if line.startswith("VmHWM")))
        except (OSError, TypeError, ValueError):
            pass
        if kill_at is not None and len(list(to.parent.glob(f".{to.name}.parts/*.parquet"))) >= kill_at:
            process.send_signal(signal.SIGKILL)
            kill_at = None
        time.sleep(0.05)
    return peak, time.perf_counter() - began, process.stdout.read() if process.stdout else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    arguments = parser.parse_args()
    rows, to = make(arguments.rows), FOLDER / "scored.parquet"
    to.unlink(missing_ok=True)
    first, seconds, _ = run(rows, to, kill_at=max(1, arguments.rows // 262_144 // 2))
    print(f"killed after {seconds:.0f} s; peak memory {first:.2f} GB; the file is there: {to.exists()}")
    second, seconds, printed = run(rows, to, None)
    print(printed.strip())
    ids = pl.scan_parquet(to).select(pl.col("id")).collect()["id"]
    whole = ids.len() == arguments.rows and bool((ids == pl.int_range(arguments.rows, eager=True)).all())
    peak = max(first, second)
    print(f"{'PASS' if whole else 'FAIL'} every row once, in order: {ids.len():,} rows")
    print(f"{'PASS' if peak <= LIMIT_GB else 'FAIL'} peak memory {peak:.2f} GB (bar {LIMIT_GB:g})")


if __name__ == "__main__":
    main()
