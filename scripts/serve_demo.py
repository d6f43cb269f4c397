"""``make serve-demo``: a model in service that ages, is updated, tried on a share of the traffic, and replaced.

    python scripts/serve_demo.py [--to FOLDER]

Gas sensors that age over three years (Vergara et al., UCI, CC BY 4.0). Clients ask a real server on loopback for each
row of a month, and send the labels later. The model errs more and more: an alarm opens, maintenance trains an update
from what was logged, the update answers half of the next requests as a canary, and goes into service when the
labels show it to be better. Everything lies in one folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import polars as pl

import evermodel
from evermodel.demo.streams import STREAMS

NAME, REQUEST = "gases", 20  # rows a request


@dataclass(frozen=True)
class Client:
    """Asks a server for predictions, and tells it the labels afterwards."""

    url: str

    def post(self, path: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Sends rows as JSON; returns the answer."""
        body = json.dumps({"dataframe_records": rows}).encode()
        request = urllib.request.Request(  # noqa: S310  # our own server
            self.url + path, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            held: dict[str, Any] = json.load(answer)
        return held

    def ask(self, rows: pl.DataFrame, target: str) -> dict[str, tuple[int, int]]:
        """Asks for all rows, then sends their labels. Version -> how many rows it answered, and how many rightly."""
        labels: list[dict[str, Any]] = []
        counts: dict[str, tuple[int, int]] = {}
        for at in range(0, rows.height, REQUEST):
            part = rows[at : at + REQUEST]
            answer = self.post("/invocations", part.drop(target).to_dicts())
            truth = part[target].to_list()
            right = sum(a == b for a, b in zip(truth, answer["predictions"], strict=True))
            n, before = counts.get(str(answer["version"]), (0, 0))
            counts[str(answer["version"])] = (n + part.height, before + right)
            labels += [{"prediction_id": f"{answer['prediction_id']}-{i}", target: y} for i, y in enumerate(truth)]
        self.post(f"/models/{NAME}/feedback", labels)
        return counts


@contextmanager
def serving(registry: Path, **trial: Any) -> Iterator[Client]:
    """A server on a free port of this machine, until the end of the block."""
    with evermodel.serve(NAME, port=0, registry=registry, **trial) as server:
        yield Client(server.url)


def say(text: object) -> None:
    """A line on the screen, at once."""
    print(text, flush=True)


def show_answers(when: str, counts: dict[str, tuple[int, int]]) -> None:
    """How well each version answered."""
    for version, (rows, right) in sorted(counts.items()):
        say(f"  {when}: {version} answered {rows:,} rows, {100 * right / rows:.1f} % of them right")


def maintain_until_a_version_waits(registry: Path) -> str:
    """Maintains as often as the policy asks for, until an update was judged; returns the version that it made."""
    log = registry / "predictions" / NAME
    where = {"data": str(log / "rows"), "labels": str(log / "labels"), "check": "1s", "update": "1s"}
    evermodel.policy(NAME, {**where, "promote": "approve"}, registry=registry)
    for _ in range(10):
        for job in evermodel.maintain(NAME, registry=registry).jobs:
            for note in job.outcome.notes:
                say(f"  {job.kind}: {note}")
            if job.outcome.version is not None:
                return job.outcome.version
        time.sleep(1.0)  # the next check is due
    sys.exit("No update was due within ten checks.")


def main(to: str = "evermodel_serve_demo") -> None:
    """The whole circle."""
    folder = Path(to).absolute() / time.strftime("run-%Y%m%d-%H%M%S")
    began, stream, registry = time.monotonic(), STREAMS["gas"](), folder / "registry"
    target, labels = stream.target, stream.labels
    months = [block.sample(fraction=1.0, shuffle=True, seed=0) for block in stream.blocks]  # clients come in any order

    say(f"1. Adopt the deployed model ({labels[0]}, {months[0].height:,} rows).")
    adopting = {"data": stream.blocks[0], "target": target, "shuffled": stream.shuffled}
    evermodel.adopt(stream.shipped_model, name=NAME, registry=registry, **adopting)

    say("2. Serve it. Clients ask for predictions, and send the labels later.")
    with serving(registry) as client:
        for month in (1, 2, 3):
            show_answers(labels[month], client.ask(months[month], target))

    say("3. Maintenance watches what was answered, and trains an update from it. The policy lets a person decide.")
    version = maintain_until_a_version_waits(registry)

    say(f"4. {version} answers half of the next requests, as a canary.")
    with serving(registry, canary=[f"{NAME}={version}:50%"]) as client:
        show_answers(labels[4], client.ask(months[4], target))
        say("5. The labels decide. The server goes on meanwhile, and follows within a second.")
        say(evermodel.release(NAME, version, apply=True, registry=registry))
        time.sleep(3.0)
        for month in (5, 6):
            show_answers(labels[month], client.ask(months[month], target))
    report = evermodel.report(NAME, to=folder / "report.html", registry=registry)
    say(f"{time.monotonic() - began:.0f} seconds. The registry and the prediction log: {registry}. Report: {report.to}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", default="evermodel_serve_demo", help="the folder for the registry and the report")
    main(parser.parse_args().to)
