"""Folders of transformers that were made to do harm, before the child process and inside of it."""

from __future__ import annotations

import signal
import tracemalloc
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from evermodel.core.errors import BadModel, EvermodelError
from evermodel.core.tensors.model_weights import read_model_weights
from evermodel.plugins.frameworks._transformers.folder_check import is_model_folder, read_checked_config
from tests.frameworks.tiny_text_model import make_folder
from tests.registry.attacks.forked_reader import read_all
from tests.registry.attacks.test_model_files import check_ending
from tests.registry.attacks.text_folders import FOLDERS, HEADERS, write_attacks

MAY_BE_READ = {  # what is wrong has no effect
    "text tokens without end",
    "text quantization by a module",
    "text a length that is a table",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("text") / "whole", train=False)


def check_folder(folder: Path) -> None:
    """What is read of a folder outside of the child process: by adopt, and by fuse --files."""
    if not is_model_folder(folder):
        raise BadModel("It is not taken for a model of transformers.")
    read_checked_config(folder)
    read_model_weights(folder)


def test_the_whole_folder_is_read(whole):
    check_folder(whole)


@pytest.mark.parametrize("name", HEADERS)
def test_headers_and_configurations_are_checked_before_anything_is_read(whole, tmp_path, name):
    (folder,) = write_attacks(whole, tmp_path, {name: HEADERS[name]})
    signal.alarm(20)  # ends the test where a pipe is waited for
    tracemalloc.start()
    try:
        with pytest.raises(EvermodelError) as error:
            check_folder(folder)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
        signal.alarm(0)
    message = error.value.message
    assert error.value.exit_code == 2 and "\n" not in message and 20 < len(message) < 400, message


def test_folders_are_read_in_the_child_under_its_limits(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = write_attacks(whole, tmp_path, FOLDERS)
    found = {ending.name: check_ending(ending) for ending in read_all("transformers", folders)}
    faults = {
        name: said for name, said in found.items() if said and not (name in MAY_BE_READ and said == ["it was read"])
    }
    assert faults == {}
    assert not (tmp_path / "OWNED").exists()
