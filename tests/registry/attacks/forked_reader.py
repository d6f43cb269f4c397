"""Reads files that were made to do harm, each in a forked process under the sandbox's limits; says how each ended.

    python tests/registry/attacks/forked_reader.py FRAMEWORK FILE...

The framework is imported once, so that many files cost little more than one. A line of JSON a file on stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

ROOT = Path(__file__).parents[3]
MOST_MEMORY = 1_300_000_000  # bytes: the sandbox's limit and what its parts are rounded up to
MOST_SECONDS = 30
LAZY = {  # what a framework imports with the first model: once here, and not in each forked process
    "transformers": (
        "transformers.models.bert.modeling_bert",
        "transformers.models.auto.modeling_auto",
        "safetensors.torch",
    )
}


@dataclass(frozen=True)
class Ending:
    """How reading one file ended. ``signal``: that killed the process, 0 where it ended by itself."""

    name: str
    signal: int
    answer: dict[str, str] | None
    memory: int  # bytes above what the framework takes
    seconds: float


def read_all(framework: str, files: Iterable[Path]) -> Iterator[Ending]:
    """Reads every file in a process of its own; the process of the framework is one for all."""
    words = [sys.executable, "-W", "ignore", __file__, framework, *map(str, files)]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = run(words, capture_output=True, text=True, timeout=500, env={**os.environ, "PYTHONPATH": paths})
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if len(lines) != len(words) - 5:
        raise AssertionError(f"the reader ended early: {done.stderr[-2000:]}")
    yield from (Ending(**json.loads(line)) for line in lines)


def main(name: str, files: list[str]) -> None:
    from evermodel.core.model.framework import FRAMEWORKS
    from evermodel.registry.adoption import sandbox

    sandbox._import_packages(name)
    for module in LAZY.get(name, ()):
        importlib.import_module(module)
    framework = FRAMEWORKS.load_module(name)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    for file in files:
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(2 * MOST_SECONDS)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            answer = sandbox.read_under_limits(framework, Path(file), None)
            os.write(writable, json.dumps(answer).encode())
            os._exit(0)
        os.close(writable)
        with os.fdopen(readable, "rb") as pipe:
            text = pipe.read()
        _, status, usage = os.wait4(child, 0)
        told = {
            "name": Path(file).name,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "answer": json.loads(text) if text else {"error": "none", "message": "", "hint": ""},
            "memory": 1024 * usage.ru_maxrss - before,
            "seconds": usage.ru_utime + usage.ru_stime,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
