"""Which framework opens a file is decided by what the file is, not by its name or by the alphabet."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_framework_checks import EXAMPLES

from evermodel.core.errors import BadModel
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.plugins import Confidence, find_recognizing
from evermodel.registry.adoption.model_file import find_framework, open_model

WRITING = [name for name in sorted(EXAMPLES) if FRAMEWORKS.load_module(name).suffixes()]
FILES = [(name, suffix) for name in WRITING for suffix in FRAMEWORKS.load_module(name).suffixes()]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """A file of every framework in every format it writes."""
    folder = tmp_path_factory.mktemp("written")
    paths = {}
    for name, suffix in FILES:
        paths[name, suffix] = folder / f"{name}{suffix}"
        FRAMEWORKS.load_module(name).write_file(EXAMPLES[name]().obj, paths[name, suffix])
    return paths


def copy(written: Path, to: Path) -> None:
    """Of a file or of a folder, as the framework writes it."""
    (shutil.copytree if written.is_dir() else shutil.copy)(written, to)


@pytest.mark.parametrize(("name", "suffix"), FILES)
@pytest.mark.parametrize("other", ["", ".bin", ".h5", ".pkl", ".skops", ".pt2", ".txt", ".ubj"])
def test_a_file_is_recognized_under_any_name(
    name: str, suffix: str, other: str, written: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    renamed = tmp_path / f"model{other}"
    copy(written[name, suffix], renamed)
    assert find_recognizing(FRAMEWORKS, renamed) == (name,)
    assert FRAMEWORKS.load_module(name).recognize(renamed) is Confidence.CERTAIN


@pytest.mark.parametrize(("name", "suffix"), FILES)
def test_a_file_without_a_suffix_is_read(
    name: str, suffix: str, written: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    renamed = tmp_path / "model"
    copy(written[name, suffix], renamed)
    if suffix == ".safetensors":  # weights alone: how the network is built is the user's own code
        with pytest.raises(BadModel, match="weights only"):
            open_model(renamed)
        return
    obj, framework, _ = open_model(renamed)
    assert framework is FRAMEWORKS.load_module(name)
    assert framework.is_model(obj)


@pytest.mark.parametrize("contents", [b"PK\x03\x04torn", b"\x89HDF\r\n\x1a\ntorn", b"tree", b"{}", b"plain text"])
def test_what_is_no_model_is_recognized_by_nobody(contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(contents)
    assert find_framework(path) is None


def test_a_file_that_two_frameworks_claim_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.txt"
    path.write_bytes(b"tree\nversion=v4\n")
    monkeypatch.setattr(FRAMEWORKS.load_module("sklearn"), "recognize", lambda path: Confidence.CERTAIN)
    with pytest.raises(BadModel, match="may be a file of lightgbm or sklearn"):
        open_model(path)
