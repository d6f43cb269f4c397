"""``kill -9`` of a server under load, at random moments: every answered prediction is in the durable log exactly once.

$ PYTHONPATH=src python bench/serve_kill.py --kills 100
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import httpx
import serve_swap

from evermodel.core.data.logged_predictions import list_row_files, scan_files
from evermodel.registry.lookup import open_store
from evermodel.registry.predictions.seal_segments import log_folder, seal_orphans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    registry, rows = serve_swap.make()
    folder = log_folder(open_store(registry), "m")
    shutil.rmtree(folder, ignore_errors=True)
    body = json.dumps({"dataframe_records": rows[:2].to_dicts()}).encode()
    answered: list[str] = []
    code = "from evermodel.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, "serve", "m", "--port", "0", "--registry", str(registry)]
    env = {**os.environ, "PYTHONPATH": str(serve_swap.SOURCE), "OMP_NUM_THREADS": "1"}

    def keep_asking(url: str) -> None:
        with httpx.Client(base_url=url, trust_env=False, headers={"Content-Type": "application/json"}) as client:
            while True:
                try:
                    identity = client.post("/invocations", content=body).json()["prediction_id"]
                except httpx.HTTPError:
                    return
                answered.extend((f"{identity}-0", f"{identity}-1"))

    for _ in range(arguments.kills):
        server = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        url = next(line for line in server.stderr or () if line.startswith("serving ")).split()[1]
        clients = [threading.Thread(target=keep_asking, args=(url,)) for _ in range(arguments.clients)]
        for client in clients:
            client.start()
        time.sleep(random.uniform(0.05, 1.0))
        server.send_signal(signal.SIGKILL)
        server.wait()
        for client in clients:
            client.join()
    seal_orphans(folder)
    logged = scan_files(list_row_files(folder)).select("prediction_id").collect()["prediction_id"]
    lost = len(set(answered) - set(logged))
    print(f"{arguments.kills} kills, {len(answered):,} answered predictions, {logged.len():,} logged")
    print(f"{'PASS' if not lost else 'FAIL'} {lost} answered predictions are not in the log")
    print(f"{'PASS' if logged.is_unique().all() else 'FAIL'} each is there once")


if __name__ == "__main__":
    main()
