"""Every kind of bad input, through the real command line: exit 2, words and no traceback, the store as it was.

    python bench/bad_input.py [PATTERN]

Most are asked in this process (the entry point itself, its arguments patched), some also in a process of their own.
A registry on a full and on a read-only disk needs the right to mount one; without it they are skipped, and it is said.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cli import bad_models, bad_requests, bad_rows
from tests.cli.ground import Answer, Case, Ground, ask, faults, make_ground, snapshot
from tests.small_disk import mounted

ALONE = ("empty file", "adopt as '../x'", "a pickle bomb", "an unknown --with", "a registry whose database is noise")
FULL = (4_000, 8_000, 12_000, 16_000, 20_000)  # bytes left on a disk; an update needs about 40,000
LEAST = 40  # kinds that the bar asks for


def in_a_process(typed: list[str], registry: Path) -> Answer:
    words = [*typed, *([] if "--registry" in typed else ["--registry", str(registry)])]
    code = "from evermodel.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def tried(case: Case, ground: Ground, *, alone: bool = False) -> list[str]:
    """What is wrong with the answer to the case, asked in a folder of its own."""
    folder = Path(tempfile.mkdtemp(dir=ground.folder))
    registry = folder / "its" / "registry" if ground.registry.is_relative_to(ground.folder) else ground.registry
    if registry != ground.registry:
        shutil.copytree(ground.registry, registry)
    own = replace(ground, folder=folder, registry=registry)
    here = Path.cwd()
    os.chdir(folder)
    try:
        typed = list(case.typed(own))
        before = snapshot(registry)
        answer = in_a_process(typed, registry) if alone else ask(typed, registry)
        found = faults(case, answer, before, snapshot(registry))
        if (folder / "canary").exists():
            found.append("CODE FROM THE FILE WAS RUN")
        return found
    finally:
        os.chdir(here)
        shutil.rmtree(folder, ignore_errors=True)


def disks(ground: Ground) -> Iterator[tuple[str, list[str] | None]]:
    """Disks that are full sooner or later, and a read-only one; None: skipped."""
    for room in FULL:
        with mounted() as disk:
            if disk is None:
                yield f"a disk with {room} bytes left", None
                continue
            shutil.copytree(ground.registry, disk.at / "registry")
            disk.leave(room)
            on_disk = replace(ground, registry=disk.at / "registry")
            case = Case("", bad_requests.update(), "disk is full", (1,), hint=True)
            before = snapshot(on_disk.registry)
            found = [f for f in tried(case, on_disk) if not f.startswith("the store changed")]
            after = snapshot(on_disk.registry)  # files that nothing points at may be left; the next writer removes them
            served = [k for k in before if k != "table versions" and before[k] != after.get(k)]
            found += [f"what was stored changed: {served[:3]}"] if served else []
            disk.free()
            whole = ask(
                ["predict", "m", str(ground.reference), "--to", str(ground.folder / "out.csv")], on_disk.registry
            )
            yield f"a disk with {room} bytes left", [*found, *([whole.err[-200:]] if whole.code else [])]
    with mounted() as disk:
        if disk is None:
            yield "a registry that is read-only", None
            return
        disk.read_only()
        yield "a registry that is read-only", tried(bad_requests.unwritable(disk.at), ground)


def main() -> int:
    wanted = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    began, failed, done = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        ground = make_ground(Path(folder) / "ground")
        for name, found in results(ground, wanted):
            done += found is not None
            failed += bool(found)
            verdict = "skipped" if found is None else "FAIL" if found else "ok"
            print(f"{verdict:8} {name:48} {'; '.join(found or ())}", flush=True)
    passed = not failed and (done >= LEAST or bool(wanted.pattern))
    print(f"\n{done} kinds of bad input, {failed} answered wrongly, {time.monotonic() - began:.0f} s")
    print("PASS" if passed else "FAIL")
    return not passed


def results(ground: Ground, wanted: re.Pattern[str]) -> Iterator[tuple[str, list[str] | None]]:
    cases = [c for c in (*bad_rows.CASES, *bad_requests.CASES, *bad_models.CASES) if wanted.search(c.name)]
    for case in cases:
        there = not case.signature or importlib.util.find_spec(case.signature) is not None
        yield case.name, tried(case, ground) if there else None
    for case in cases:
        if case.name in ALONE:
            yield f"{case.name}, in a process of its own", tried(case, ground, alone=True)
    if wanted.search("disk registry"):
        yield from disks(ground)


if __name__ == "__main__":
    raise SystemExit(main())
