"""The version in service loads in a clean process and answers its golden rows as it did, as fast and as small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evermodel.core.files import write_text
from evermodel.core.records.doctor_finding import Finding
from evermodel.maintenance.doctor.target import DoctorTarget
from evermodel.registry.golden_predictions import TOLERANCE
from evermodel.registry.upkeep.version_signature import verify_version

PATIENCE = 300  # seconds for a framework to load and answer
SLOWER, SLOWER_BY = 3.0, 0.02  # times, and seconds for the golden rows, beyond which it is said
BIGGER, BIGGER_BY = 1.5, 64.0  # times, and MB
CLEAN = """
import json, resource, sys, time
from pathlib import Path
from evermodel.registry.golden_predictions import check_golden
from evermodel.registry.versions import load_folder
at, framework = Path(sys.argv[1]), sys.argv[2]
began = time.perf_counter()
model = load_folder(at, framework)
loaded, golden = time.perf_counter() - began, None
if (golden_check := check_golden(at, model)) is not None:
    golden = [golden_check.difference, golden_check.seconds, golden_check.recorded_seconds]
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"load": loaded, "golden": golden, "memory": memory}))
"""


def check_serving(target: DoctorTarget) -> Iterator[Finding]:
    """Champions only. Other versions are checked by their hashes."""
    for name in target.models():
        version = target.aliases(name).get("champion", "")
        card = target.cards(name).get(version)
        if card is None:
            continue
        where = f"{name} {version}"
        wrong = find_loading_error(target, name, version)
        if wrong is not None:
            repair = f"evermodel doctor {name} --repair repairs its files, or rolls back to a version that loads"
            yield Finding("loads", f"does not load in a clean process: {wrong}", where, "critical", repair)
            continue
        answer = _answers[_key(target, name, version)]
        if answer["golden"] is None:
            what = "has no golden predictions: it was put before they were kept, or without rows"
            yield Finding("golden", what, where, "note", f"the next version of {name} has them")
        else:
            yield from _golden(name, where, *answer["golden"])
        yield from _memory(target, name, version, answer["memory"])


def _golden(name: str, where: str, difference: float, seconds: float, recorded: float) -> Iterator[Finding]:
    if not difference <= TOLERANCE:
        what = f"golden predictions changed: by up to {difference:.2g} of the largest answer (bound {TOLERANCE:g})"
        repair = f"install the packages of its card ('evermodel show {name}'), or: evermodel rollback {name}"
        yield Finding("golden", what, where, "critical", repair)
    if seconds > SLOWER * recorded and seconds - recorded > SLOWER_BY:
        what = f"its golden rows take {1000 * seconds:.0f} ms; {1000 * recorded:.0f} ms when it was put"
        yield Finding("latency", what, where, "warning", "is the machine busy? Else compare packages with its card")


def _memory(target: DoctorTarget, name: str, version: str, memory: float) -> Iterator[Finding]:
    """Beside what the doctor measured when it first saw this version here."""
    at = target.store.scratch_folder(name) / f"doctor-{version}.json"
    try:
        first = float(json.loads(at.read_text())["memory"])
    except (OSError, ValueError, KeyError, TypeError):
        write_text(at, json.dumps({"memory": memory}))
        return
    if memory > BIGGER * first and memory - first > BIGGER_BY:
        what = f"takes {memory:.0f} MB to load and answer; {first:.0f} MB when first seen here"
        yield Finding("memory", what, f"{name} {version}", "warning", "compare packages with its card")


_answers: dict[
    tuple[str, str, str], dict[str, Any]
] = {}  # of a clean process about whole files, during one run of the doctor


def forget() -> None:
    """Forgets the answers of an earlier run, since packages may have changed since then."""
    _answers.clear()


def find_loading_error(target: DoctorTarget, name: str, version: str) -> str | None:
    """None if the version's files are whole and a clean process loads them and answers; else what is wrong."""
    from evermodel.core.errors import EvermodelError

    key = _key(target, name, version)
    try:
        at = target.store.version_folder(name, version)  # every file's hash, each time: the same files load as they did
        verify_version(at, target.store.read_card(name, version))
        if key not in _answers:
            _answers[key] = _in_a_clean_process(at, target.store.read_card(name, version).framework)
    except (EvermodelError, OSError) as error:
        return str(getattr(error, "message", error))
    wrong: str | None = _answers[key].get("wrong")
    return wrong


def _key(target: DoctorTarget, name: str, version: str) -> tuple[str, str, str]:
    return str(target.store.registry), name, version


def _in_a_clean_process(at: Path, framework: str) -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    words = [sys.executable, "-W", "ignore", "-c", CLEAN, str(at), framework]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=env)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        return {"wrong": f"it took more than {PATIENCE} s"}
    if done.returncode:
        last = [line for line in done.stderr.strip().splitlines() if line.strip()]
        return {"wrong": (last[-1] if last else f"it ended with {done.returncode}")[:300]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
