"""``kill -9`` of a server under load, at random moments: every answered prediction is in the durable log exactly once.

With ``--workers 2`` one server runs all the time, and one of its workers after the other is killed: clients ask again.

$ PYTHONPATH=src python bench/serve_kill.py --kills 100 [--workers 2]
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
from pathlib import Path

import httpx
import serve_swap

from evermodel.core.data.logged_predictions import list_row_files, scan_files
from evermodel.registry.lookup import open_store
from evermodel.registry.predictions.seal_segments import log_folder, seal_orphans


def list_workers(server: int, count: int) -> list[int]:
    """The workers of the server, once there are as many again."""
    while True:
        found = [int(one) for one in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
        if len(found) == count:
            return found
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    registry, rows = serve_swap.make()
    folder = log_folder(open_store(registry), "m")
    shutil.rmtree(folder, ignore_errors=True)
    body = json.dumps({"dataframe_records": rows[:2].to_dicts()}).encode()
    answered: list[str] = []
    failed: list[float] = []  # moments of requests that were not answered
    ended = threading.Event()
    code = "from evermodel.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, "serve", "m", "--port", "0", "--registry", str(registry)]
    command += ["--workers", str(arguments.workers)]
    env = {**os.environ, "PYTHONPATH": str(serve_swap.SOURCE), "OMP_NUM_THREADS": "1"}

    def start() -> tuple[subprocess.Popen[str], list[threading.Thread]]:
        server = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        url = next(line for line in server.stderr or () if line.startswith("serving ")).split()[1]
        threading.Thread(target=(server.stderr or sys.stdin).read, daemon=True).start()
        clients = [threading.Thread(target=keep_asking, args=(url,)) for _ in range(arguments.clients)]
        for client in clients:
            client.start()
        return server, clients

    def keep_asking(url: str) -> None:
        headers = {"Content-Type": "application/json"}
        while not ended.is_set():
            with httpx.Client(base_url=url, trust_env=False, headers=headers) as client:
                try:
                    for _ in range(50):  # then a connection of its own again: any worker may get it
                        identity = client.post("/invocations", content=body).json()["prediction_id"]
                        answered.extend((f"{identity}-0", f"{identity}-1"))
                except httpx.HTTPError:
                    failed.append(time.monotonic())
                    if arguments.workers == 1:
                        return

    if arguments.workers == 1:
        for _ in range(arguments.kills):
            server, clients = start()
            time.sleep(random.uniform(0.05, 1.0))
            server.send_signal(signal.SIGKILL)
            server.wait()
            for client in clients:
                client.join()
    else:
        server, clients = start()
        for _ in range(arguments.kills):
            time.sleep(random.uniform(0.05, 1.0))
            workers = list_workers(server.pid, arguments.workers)
            os.kill(random.choice(workers), signal.SIGKILL)
        list_workers(server.pid, arguments.workers)
        ended.set()
        for client in clients:
            client.join()
        server.terminate()
        server.wait()
        print(f"{len(failed)} requests were not answered: at most {arguments.kills * arguments.clients} were under way")
    seal_orphans(folder)
    logged = scan_files(list_row_files(folder)).select("prediction_id").collect()["prediction_id"]
    lost = len(set(answered) - set(logged))
    print(f"{arguments.kills} kills, {len(answered):,} answered predictions, {logged.len():,} logged")
    print(f"{'PASS' if not lost else 'FAIL'} {lost} answered predictions are not in the log")
    print(f"{'PASS' if logged.is_unique().all() else 'FAIL'} each is there once")


if __name__ == "__main__":
    main()
