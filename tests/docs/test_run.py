"""The tutorial's commands and the Python blocks of the pages are run, in a folder of their own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.ground import ask
from tests.docs.pages import DOCS, PAGES, list_blocks, list_commands, name_page

ELSEWHERE = ("write-a-plugin.md", "README.zh-CN.md")  # tests/plugins runs the one, the other has the code of README.md
PYTHON_PAGES = [page for page in PAGES if list_blocks(page, "python") and page.name not in ELSEWHERE]
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def run_command(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from evermodel.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, *words]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


def test_the_tutorial_runs(tmp_path, monkeypatch):
    """In this process, but for the first: each command of its own would import TensorFlow anew."""
    first, *commands = list_commands(DOCS / "tutorial.md")
    assert len(commands) >= 9
    assert run_command(shlex.split(first)[1:], tmp_path).returncode == 0
    monkeypatch.chdir(tmp_path)
    for command in commands:
        answer = ask(shlex.split(command)[1:], None)
        assert answer.code == 0, f"{command}\n{answer.out}\n{answer.err}"
        assert "Traceback" not in answer.err
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "updated_model.h5").exists()
    assert (tmp_path / "updated_model.transform.json").exists()
    assert (tmp_path / "predicted.csv").exists()


def test_pages_with_python_are_found():
    assert len(PYTHON_PAGES) >= 4


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=name_page)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    files = [command for command in list_commands(page) if "--files-only --to ." in command]
    for command in files:
        assert run_command(shlex.split(command)[1:], tmp_path).returncode == 0
    if not files and "em.open" in page.read_text(encoding="utf-8"):
        adopt_bikes(tmp_path)
    monkeypatch.chdir(tmp_path)
    code = compile("\n".join(list_blocks(page, "python")), name_page(page), "exec")
    exec(code, {"__name__": "__main__"})  # noqa: S102  # our own pages


def adopt_bikes(folder: Path) -> None:
    """Put the model ``bikes`` into the registry ``models``, which pages refer to that do not begin at the beginning."""
    files = ["demo", "bike", "--files-only", "--to", "."]
    model = ["adopt", "existing_model.txt", "--data", "reference.csv", "--target", "rentals", "--time", "timestamp"]
    for words in (files, [*model, "--name", "bikes", "--registry", "models"]):
        done = run_command(words, folder)
        assert done.returncode == 0, done.stderr
