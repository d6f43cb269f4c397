"""Speed of ``evermodel serve`` beside MLflow's scoring server, MLServer, LitServe and a bare Starlette app.

    $ PYTHONPATH=src python bench/serve.py
    $ PYTHONPATH=src python bench/serve.py --mlflow ~/mlflow/bin/python --mlserver ~/mlserver/bin/python \\
          --litserve ~/litserve/bin/python

Each server runs in a process of its own with one worker, the load (bench/http_load.py) in another, 8 connections;
rounds of all contenders follow each other, and each figure is the median of the rounds. Processor time a request
depends less on what else the machine does than requests a second do. Peers need environments of their own: name the
Python of each. The same scikit-learn and LightGBM models on 20 columns; bodies of 1 and of 1,000 rows,
``dataframe_split`` (tensors for MLServer). "bare" parses the body into numpy and predicts: no checks, no log,
no ids.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import peers
import polars as pl

FOLDER = peers.OUT / "serve"
HERE = Path(__file__).parent
COLUMNS = [f"f{i}" for i in range(20)]
ROWS = (1, 1000)
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent / "src"), "NO_PROXY": "*"}

BARE = """
import sys, joblib, lightgbm, msgspec, numpy as np, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
kind, path, port = sys.argv[1:]
if kind == "sklearn":
    predict = joblib.load(path).predict_proba
else:
    booster = lightgbm.Booster(model_file=path)
    predict = lambda x: booster.predict(x, validate_features=False)
async def invoke(request):
    held = msgspec.json.decode(await request.body())["dataframe_split"]
    p = predict(np.array(held["data"], dtype=np.float64))
    p = np.column_stack([1 - p, p]) if p.ndim == 1 else p
    body = {"predictions": p.argmax(axis=1).tolist(), "probabilities": p.tolist()}
    return Response(msgspec.json.encode(body), media_type="application/json")
app = Starlette(routes=[Route("/invocations", invoke, methods=["POST"])])
uvicorn.run(app, port=int(port), log_level="error", access_log=False)
"""
SAVE_MLFLOW = """
import sys, joblib, lightgbm, mlflow
kind, path, to = sys.argv[1:]
if kind == "sklearn":
    mlflow.sklearn.save_model(joblib.load(path), to, skops_trusted_types=None) if False else mlflow.sklearn.save_model(
        joblib.load(path), to, serialization_format="cloudpickle")
else:
    mlflow.lightgbm.save_model(lightgbm.Booster(model_file=path), to)
"""
LITSERVE = """
import sys, joblib, lightgbm, numpy as np, litserve as ls
kind, path, port = sys.argv[1:]
class Api(ls.LitAPI):
    def setup(self, device):
        if kind == "sklearn":
            self.predict_rows = joblib.load(path).predict_proba
        else:
            booster = lightgbm.Booster(model_file=path)
            self.predict_rows = lambda x: booster.predict(x, validate_features=False)
    def decode_request(self, request):
        return np.array(request["dataframe_split"]["data"], dtype=np.float64)
    def predict(self, x):
        return self.predict_rows(x)
    def encode_response(self, p):
        return {"predictions": p.tolist()}
if __name__ == "__main__":
    server = ls.LitServer(Api(api_path="/invocations"), accelerator="cpu", workers_per_device=1)
    server.run(port=int(port), host="127.0.0.1", generate_client_file=False, log_level="error")
"""


@dataclass(frozen=True)
class Contender:
    """How a server is started, and how it is asked."""

    name: str
    command: Callable[[str, int], list[str]]  # kind of model, port
    path: Callable[[str], str] = lambda kind: "/invocations"
    form: str = "split"


def make_models() -> pl.DataFrame:
    """The models as files and in a registry, and rows to ask for."""
    import joblib
    import lightgbm
    from sklearn.linear_model import LogisticRegression

    import evermodel

    FOLDER.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    x = random.normal(size=(6000, 20))
    y = (x[:, :5].sum(axis=1) + random.normal(size=6000) > 0).astype(int)
    frame = pl.DataFrame({name: x[:, i] for i, name in enumerate(COLUMNS)}).with_columns(y=pl.Series(y))
    if not (FOLDER / "registry").exists():
        linear = LogisticRegression().fit(x, y)
        joblib.dump(linear, FOLDER / "sklearn.joblib")
        settings = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1}
        booster = lightgbm.train(settings, lightgbm.Dataset(x, y), 100)
        booster.save_model(FOLDER / "lightgbm.txt")
        registry = FOLDER / "registry"
        evermodel.adopt(linear, data=frame, target="y", name="sklearn", shuffled=True, registry=registry)
        evermodel.adopt(
            FOLDER / "lightgbm.txt", data=frame, target="y", name="lightgbm", shuffled=True, registry=registry
        )
    return frame.drop("y")


def model_file(kind: str) -> str:
    return str(FOLDER / {"sklearn": "sklearn.joblib", "lightgbm": "lightgbm.txt"}[kind])


def write_bodies(frame: pl.DataFrame) -> None:
    for n in ROWS:
        rows = [list(row) for row in frame[:n].rows()]
        split = {"dataframe_split": {"columns": COLUMNS, "data": rows}}
        flat = [value for row in rows for value in row]
        tensor = {"inputs": [{"name": "predict", "shape": [n, 20], "datatype": "FP64", "data": flat}]}
        (FOLDER / f"split-{n}.json").write_text(json.dumps(split))
        (FOLDER / f"tensor-{n}.json").write_text(json.dumps(tensor))


def ours(log: str) -> Callable[[str, int], list[str]]:
    code = "from evermodel.cli import main; main()"
    return lambda kind, port: [
        *(sys.executable, "-W", "ignore", "-c", code, "serve", kind, "--port", str(port)),
        *("--log", log, "--registry", str(FOLDER / "registry")),
    ]


def run_mlflow(python: str) -> Callable[[str, int], list[str]]:
    def command(kind: str, port: int) -> list[str]:
        at = FOLDER / f"mlflow-{kind}"
        if not at.exists():
            saved = [python, "-c", SAVE_MLFLOW, kind, model_file(kind), str(at)]
            subprocess.run(saved, check=True, env=ENV, capture_output=True)
        served = [python, "-m", "mlflow", "models", "serve", "-m", str(at), "--env-manager", "local"]
        return [*served, "--workers", "1", "--port", str(port), "--host", "127.0.0.1"]

    return command


def run_mlserver(python: str) -> Callable[[str, int], list[str]]:
    def command(kind: str, port: int) -> list[str]:
        at = FOLDER / f"mlserver-{kind}"
        at.mkdir(exist_ok=True)
        runtime = {"sklearn": "mlserver_sklearn.SKLearnModel", "lightgbm": "mlserver_lightgbm.LightGBMModel"}[kind]
        about = {"name": kind, "implementation": runtime, "parameters": {"uri": model_file(kind)}}
        (at / "model-settings.json").write_text(json.dumps(about))
        settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "parallel_workers": 0}
        (at / "settings.json").write_text(json.dumps(settings | {"host": "127.0.0.1", "debug": False}))
        return [str(Path(python).parent / "mlserver"), "start", str(at)]

    return command


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[int]:
    env = {**ENV, "PATH": f"{Path(command[0]).parent}:{ENV['PATH']}"}
    with log.open("w") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError(f"{command[:6]} ended: {log.read_text()[-500:]}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.1)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


def processor_seconds(group: int) -> float:
    """Of all processes in a group. It hardly depends on what else the machine does."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def wait_ready(port: int, path: str, body: Path) -> None:
    """Until the server answers the very request with 200."""
    problem = ""
    for _ in range(600):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", body.read_bytes(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - loopback
                return
        except urllib.error.HTTPError as error:
            problem = f"{error.code}: {error.read()[:300]!r}"
        except OSError as error:
            problem = str(error)
        time.sleep(0.1)
    raise RuntimeError(f"no answer from port {port}: {problem}")


def measure(contender: Contender, kind: str, seconds: float, connections: int) -> dict[int, dict]:
    port, found = free_port(), {}
    path = contender.path(kind)
    log = FOLDER / f"{contender.name}.log".replace(" ", "-")
    with running(contender.command(kind, port), port, log) as group:
        wait_ready(port, path, FOLDER / f"{contender.form}-1.json")
        for n in ROWS:
            body = FOLDER / f"{contender.form}-{n}.json"
            words = [str(HERE / "http_load.py"), "127.0.0.1", str(port), path, str(body), "application/json"]
            asked = [sys.executable, *words, str(connections), str(seconds)]
            before = processor_seconds(group)
            done = subprocess.run(asked, capture_output=True, text=True, check=True)
            found[n] = json.loads(done.stdout)
            found[n]["cpu"] = 1000 * (processor_seconds(group) - before) / found[n]["asked"]
    return found


def measure_calls(kind: str, frame: pl.DataFrame) -> dict[int, float]:
    """Requests a second if nothing but the framework's predict call were needed."""
    import joblib
    import lightgbm

    x = frame.to_numpy()
    booster = lightgbm.Booster(model_file=model_file("lightgbm"))
    predict = (
        joblib.load(model_file(kind)).predict_proba
        if kind == "sklearn"
        else lambda part: booster.predict(part, validate_features=False, num_threads=1)
    )
    found = {}
    for n in ROWS:
        times = []
        for _ in range(7):
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < 0.2:
                predict(x[:n])
                count += 1
            times.append((time.perf_counter() - began) / count)
        found[n] = 1.0 / min(times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for peer in ("mlflow", "mlserver", "litserve"):
        parser.add_argument(f"--{peer}", metavar="PYTHON", help=f"the Python of an environment with {peer}")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--kinds", default="sklearn,lightgbm")
    arguments = parser.parse_args()
    frame = make_models()
    write_bodies(frame)
    contenders = [Contender(f"ours, log {log}", ours(log)) for log in ("off", "async", "durable")]
    contenders.append(Contender("bare starlette", lambda k, p: [sys.executable, "-c", BARE, k, model_file(k), str(p)]))
    if arguments.mlflow:
        contenders.append(Contender("mlflow", run_mlflow(arguments.mlflow)))
    if arguments.mlserver:
        infer = lambda kind: f"/v2/models/{kind}/infer"  # noqa: E731
        contenders.append(Contender("mlserver", run_mlserver(arguments.mlserver), infer, "tensor"))
        contenders.append(Contender("ours, tensors", ours("off"), infer, "tensor"))
    if arguments.litserve:
        (FOLDER / "lit.py").write_text(LITSERVE)
        lit = [arguments.litserve, str(FOLDER / "lit.py")]
        contenders.append(Contender("litserve", lambda k, p: [*lit, k, model_file(k), str(p)]))
    for kind in arguments.kinds.split(","):
        calls = measure_calls(kind, frame)
        results: dict[str, list[dict[int, dict]]] = {c.name: [] for c in contenders}
        for _ in range(arguments.rounds):
            for contender in contenders:
                results[contender.name].append(measure(contender, kind, arguments.seconds, arguments.connections))
        report(kind, results, calls)


def report(kind: str, results: dict[str, list[dict[int, dict]]], calls: dict[int, float]) -> None:
    for n in ROWS:
        print(f"\n{kind}, {n} row{'s' if n > 1 else ''} a request; the predict call alone: {calls[n]:,.0f}/s")
        print(
            "| server | requests/s | of bare | p50 ms | p99 ms | processor ms a request | bare / it |\n|" + "---|" * 7
        )
        middle = {}
        for name, rounds in results.items():
            bad = [r[n]["statuses"] for r in rounds if set(r[n]["statuses"]) != {"200"}]
            if bad:
                print(f"| {name} | failed: {bad} |")
                continue
            middle[name] = {k: statistics.median(r[n][k] for r in rounds) for k in ("rps", "p50", "p99", "cpu")}
        for name, m in middle.items():
            bare = middle["bare starlette"]
            share, cheap = m["rps"] / bare["rps"], bare["cpu"] / m["cpu"]
            times = f"{m['p50']:.2f} | {m['p99']:.2f} | {m['cpu']:.3f}"
            print(f"| {name} | {m['rps']:,.0f} | {share:.2f} | {times} | {cheap:.2f} |")
        check(n, middle)


def check(n: int, middle: dict[str, dict[str, float]]) -> None:
    off = middle["ours, log off"]["rps"]
    bars = [("of the bare app", off / middle["bare starlette"]["rps"], 0.8)]
    bars.append(("durable of off", middle["ours, log durable"]["rps"] / off, 0.7))
    if "mlflow" in middle:
        bars.append(("times MLflow", off / middle["mlflow"]["rps"], 4.0 if n == 1 else 8.0))
    for what, value, bar in bars:
        print(f"{'PASS' if value >= bar else 'FAIL'} {value:.2f} {what} (bar {bar:g})")


if __name__ == "__main__":
    main()
