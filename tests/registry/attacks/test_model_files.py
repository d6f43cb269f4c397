"""Model files that were made to do harm: one sentence each, no crash, no hang, bounded memory, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry.attacks import booster_files, network_files, skops_files
from tests.registry.attacks.forked_reader import MOST_MEMORY, MOST_SECONDS, Ending, read_all

MAY_BE_READ = {  # it has no effect: nothing depends on it, or it is a model like another
    "lightgbm not finite.txt",
    "torch a division by zero.pt2",  # said with the first rows
    "torch a text of 8 GB.pt2",  # the same: it is never made
    "torch a number of a trillion digits.pt2",
    "lightgbm a hundred thousand headers.txt",
    "lightgbm one line of 30 MB.txt",
}


def check_ending(ending: Ending) -> list[str]:
    """What is wrong with how reading a file ended."""
    faults = []
    answer = ending.answer
    if ending.signal:
        faults.append(f"killed by signal {ending.signal}")
    elif answer is None and ending.name not in MAY_BE_READ:
        faults.append("it was read")
    elif answer is not None:
        message = answer["message"]
        if not message.endswith((".", ")")) or "\n" in message or not 20 < len(message) < 400:
            faults.append(f"no sentence: {message!r}")
        if not message.isprintable():
            faults.append(f"control characters: {message!r}")
    if ending.memory > MOST_MEMORY:
        faults.append(f"{ending.memory / 1e6:.0f} MB")
    if ending.seconds > MOST_SECONDS:
        faults.append(f"{ending.seconds:.0f} s")
    return faults


def check_all(framework: str, files: list[Path]) -> None:
    found = {ending.name: check_ending(ending) for ending in read_all(framework, files)}
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_boosters(tmp_path):
    for package in ("lightgbm", "xgboost"):
        pytest.importorskip(package)
    for framework, files in booster_files.write_attacks(tmp_path).items():
        assert len(files) >= 25
        check_all(framework, files)


def test_scikit_learn(tmp_path):
    pytest.importorskip("skops")
    files = skops_files.write_attacks(tmp_path)
    assert len(files) >= 30
    check_all("sklearn", files)
    assert not Path("somewhere").exists(), "the pipeline's memory= wrote"


def test_keras(tmp_path):
    pytest.importorskip("keras")
    files = network_files.write_keras_attacks(tmp_path)
    assert len(files) >= 13
    check_all("keras", files)


def test_torch(tmp_path):
    pytest.importorskip("torch")
    files = network_files.write_torch_attacks(tmp_path)
    assert len(files) >= 20
    check_all("torch", files)
