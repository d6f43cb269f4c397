"""Promotions and rollbacks while requests keep coming: none fails, none is answered by a version not in service.

    $ PYTHONPATH=src python bench/serve_swap.py --swaps 200

Clients ask a server of its own process without pause. Each answer must be that of the version it names, and that
version must have been in service within a second before the answer (a promotion is seen within a second).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import peers
import polars as pl

FOLDER = peers.OUT / "serve_swap"
SEEN_WITHIN = 1.0
SOURCE = Path(__file__).parents[1] / "src"


@dataclass(frozen=True)
class Move:
    """A version was put in service at some moment between ``began`` and ``ended``."""

    began: float
    ended: float
    version: str


def make() -> tuple[Path, pl.DataFrame]:
    """A registry with two versions that answer otherwise, and rows to ask for."""
    import lightgbm

    import evermodel

    registry = FOLDER / "registry"
    random = np.random.default_rng(0)
    names = [f"f{i}" for i in range(10)]

    def frame(n: int, turn: float) -> pl.DataFrame:
        x = random.normal(size=(n, 10))
        y = (x[:, 0] * np.cos(turn) + x[:, 1] * np.sin(turn) + 0.3 * random.normal(size=n) > 0).astype(int)
        return pl.DataFrame({n: x[:, i] for i, n in enumerate(names)}).with_columns(y=pl.Series(y))

    rows = frame(20, 0.0)
    if not registry.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        old = frame(3000, 0.0)
        data = lightgbm.Dataset(old.drop("y").to_numpy(), old["y"].to_numpy())
        lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 50).save_model(FOLDER / "m.txt")
        evermodel.adopt(FOLDER / "m.txt", data=old, target="y", name="m", shuffled=True, registry=registry)
        evermodel.update("m", frame(3000, 1.5), strategy="refit", registry=registry)
    return registry, rows.drop("y")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    import evermodel

    registry, rows = make()
    known = {v: evermodel.predict("m", rows, version=v, registry=registry)["p_1"].to_numpy() for v in ("v1", "v2")}
    code = "from evermodel.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, "serve", "m", "--port", "0", "--registry", str(registry)]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    url = next(line for line in server.stderr or () if line.startswith("serving ")).split()[1]
    end = threading.Event()
    answers: list[tuple[float, float, str]] = []  # when, how long, which version
    wrong: list[str] = []

    def keep_asking() -> None:
        body = json.dumps({"dataframe_records": rows.to_dicts()}).encode()
        with httpx.Client(base_url=url, trust_env=False, headers={"Content-Type": "application/json"}) as client:
            while not end.is_set():
                began = time.monotonic()
                try:
                    answer = client.post("/invocations", content=body)
                    held = answer.json()
                    right = np.allclose(np.array(held["probabilities"])[:, 1], known[held["version"]], atol=1e-6)
                    if answer.status_code != 200 or not right:
                        wrong.append(f"{answer.status_code} {held.get('version')}")
                    answers.append((time.monotonic(), time.monotonic() - began, held["version"]))
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    wrong.append(f"{type(error).__name__}: {error}")

    clients = [threading.Thread(target=keep_asking) for _ in range(arguments.clients)]
    for client in clients:
        client.start()
    time.sleep(3)
    moves = [Move(0.0, 0.0, evermodel.open(registry)["m"].champion.name)]
    quiet_until = time.monotonic()
    for _ in range(arguments.swaps):
        began, to = time.monotonic(), "v2" if moves[-1].version == "v1" else "v1"
        if to == "v2":
            evermodel.promote("m", "v2", registry=registry)
        else:
            evermodel.rollback("m", to="v1", registry=registry)
        moves.append(Move(began, time.monotonic(), to))
        time.sleep(0.6)
    time.sleep(1)
    end.set()
    for client in clients:
        client.join()
    server.send_signal(signal.SIGTERM)
    server.wait()
    report(arguments.swaps, answers, moves, wrong, quiet_until)


def report(
    swaps: int, answers: list[tuple[float, float, str]], moves: list[Move], wrong: list[str], quiet_until: float
) -> None:
    late, delays = 0, []
    answers = sorted(answers)
    for at, took, version in answers:
        late += not any(
            move.version == version
            and move.began <= at
            and (i + 1 == len(moves) or at - took <= moves[i + 1].ended + SEEN_WITHIN)
            for i, move in enumerate(moves)
        )
    for i, move in enumerate(moves[1:], 1):
        until = moves[i + 1].began if i + 1 < len(moves) else float("inf")
        first = next((at for at, _, v in answers if move.began < at < until and v == move.version), None)
        if first is not None:
            delays.append(max(0.0, first - move.ended))
    p99 = {
        "before": np.percentile([t for at, t, _ in answers if at <= quiet_until], 99),
        "during": np.percentile([t for at, t, _ in answers if at > quiet_until], 99),
    }
    print(f"{len(answers):,} answers, {swaps} promotions and rollbacks, {len(delays)} seen before the next one")
    print(f"seen after {statistics.median(delays):.2f} s in the middle, {max(delays):.2f} s at most")
    before, during = 1000 * p99["before"], 1000 * p99["during"]
    print(f"p99 {before:.1f} ms before, {during:.1f} ms during; x{during / before:.2f}")
    print(f"{'PASS' if not wrong else 'FAIL'} {len(wrong)} failed or wrong answers {wrong[:3]}")
    print(f"{'PASS' if not late else 'FAIL'} {late} answers of a version that was not in service")
    print(f"{'PASS' if p99['during'] <= 1.5 * p99['before'] else 'FAIL'} p99 during swaps (bar x1.5)")


if __name__ == "__main__":
    main()
