"""Proves a saved file: its framework alone, in a clean process, loads it and answers as the version does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import PlainFiles, find_user_code
from evermodel.core.model.model import Model
from evermodel.core.model.user_code import FOLDER, write_code
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.registry.golden_predictions import NAMES

TOLERANCE = 1e-5  # of the largest answer: a graph for another number of rows adds in another order
MOST_SECONDS = 600


@dataclass(frozen=True)
class FileProof:
    """What a clean process found: rows answered, the largest difference, what the file takes and gives."""

    rows: int
    difference: float  # in units of the largest answer; 0: bit for bit
    inputs: tuple[int, ...]  # of one row; () of weights alone
    outputs: tuple[int, ...]
    seconds: float
    names: tuple[str, ...] = ()  # of the inputs that were given by name

    def describe(self) -> str:
        """One line for people."""
        if not self.rows:
            return f"read in a clean process without Evermodel: names and shapes as they were ({self.seconds:.1f} s)"
        alike = "bit for bit" if self.difference == 0.0 else f"to within {self.difference:.1g}"
        shape = " x ".join(map(str, self.inputs))
        named = f" by name ({', '.join(self.names)})" if self.names else ""
        return (
            f"loaded in a clean process without Evermodel: takes {shape} inputs{named}, answers {self.rows} rows as "
            f"the version does, {alike} ({self.seconds:.1f} s)"
        )


def prove_file(model: Model, file: Path, rows: pl.DataFrame) -> FileProof | None:
    """Loads ``file`` by its framework alone and compares its answers on ``rows``, cleaned, with those of ``model``.

    None for a framework that says no way to use its files. Costs an interpreter with the framework, some seconds.
    Raises BadModel where the file cannot be loaded, or takes, gives or answers anything else.
    """
    plugin = model.framework
    if not isinstance(plugin, PlainFiles):
        return None
    began = time.monotonic()
    x = plugin.plain_input(model.obj, model.transform(rows))
    with TemporaryDirectory(prefix="evermodel-") as folder:
        given = _write_rows(x, Path(folder))
        answered = Path(folder) / "answers.npy"
        code = find_user_code(plugin, model.obj)
        write_code(code, Path(folder))
        own = () if code is None else (str(Path(folder) / FOLDER),)
        told = _run(plugin.plain_script(), file, given, answered, own)
        answers = np.load(answered) if answered.exists() else None
    seconds = time.monotonic() - began
    if answers is None:
        _compare_tensors(file, told.get("tensors", {}), plugin.plain_tensors(model.obj))
        return FileProof(0, 0.0, (), (), seconds)
    expected = plugin.plain_answers(model.obj, x)
    difference = _compare_answers(file, np.asarray(answers), np.asarray(expected))
    return FileProof(
        len(expected), difference, tuple(told["inputs"]), tuple(told["outputs"]), seconds, tuple(told.get("names", ()))
    )


def read_proof_rows(store: Store, card: VersionCard) -> pl.DataFrame | None:
    """The rows that are kept with a version, cleaned; None where it was stored without any."""
    at = store.version_folder(card.name, card.version) / NAMES[0]
    return pl.read_parquet(at) if at.is_file() else None


def _write_rows(x: Any, folder: Path) -> Path:
    if isinstance(x, np.ndarray):
        np.save(folder / "rows.npy", x)
        return folder / "rows.npy"
    if isinstance(x, dict):
        texts = {name: part.astype(str) for name, part in x.items() if part.dtype == object}
        np.savez(folder / "rows.npz", **(x | texts))
        return folder / "rows.npz"
    x.write_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def _run(script: Path, file: Path, rows: Path, to: Path, own: tuple[str, ...]) -> dict[str, Any]:
    # -I: neither this process's paths nor the folder that it runs in are seen.
    command = [sys.executable, "-I", str(script), str(file.absolute()), str(rows), str(to), *own]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)  # noqa: S603
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BadModel(f"{file.name} is not saved: its framework alone cannot use it ({last}).", _HINT)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


_HINT = "The version in the registry is whole. Save it in another format, or without a proof."


def _compare_answers(file: Path, answers: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference in units of the largest answer. Raises BadModel beyond the tolerance."""
    answers, expected = answers.reshape(len(answers), -1), expected.reshape(len(expected), -1)
    if answers.shape != expected.shape:
        raise BadModel(
            f"{file.name} is not saved: it gives {answers.shape[1]} numbers a row; the version gives "
            f"{expected.shape[1]}.",
            _HINT,
        )
    scale = max(1e-12, float(np.abs(expected).max())) if expected.size else 1.0
    difference = float(np.abs(answers.astype(np.float64) - expected.astype(np.float64)).max()) / scale
    if not difference <= TOLERANCE:
        raise BadModel(
            f"{file.name} is not saved: its answers differ from the version's by up to {difference:.2g}.", _HINT
        )
    return difference


def _compare_tensors(file: Path, found: dict[str, list[int]], expected: dict[str, list[int]]) -> None:
    differing = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
    if differing:
        raise BadModel(f"{file.name} is not saved: other tensors are in it: {', '.join(differing[:5])}.", _HINT)
