"""The documentation is run: every command in it parses, and the tutorial's do what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXIT_OF_UPDATE = (0, 10, 11, 12)


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), flags=re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ evermodel")]
    return [line[2:].split("  #")[0].strip() for line in lines]


ALL = [(page.name, command) for page in PAGES for command in commands(page)]


def test_the_documentation_was_found():
    assert len(PAGES) >= 9
    assert len(ALL) > 20


@pytest.mark.parametrize(("page", "command"), ALL, ids=lambda v: v)
def test_every_command_in_the_documentation_parses(page, command):
    from evermodel.cli.app import app

    name, *words = shlex.split(command)[1:]
    verb = app.commands[name]
    with click.Context(verb, info_name=name) as context:
        verb.parse_args(context, words)


def test_every_way_to_update_is_documented():
    from evermodel.core import plugs

    text = (ROOT / "docs" / "how-to" / "choose-how-to-update.md").read_text()
    assert not [name for name in plugs.names("updates") if f"`{name}`" not in text]


def test_every_way_to_prune_is_documented():
    from evermodel.core import plugs

    text = (ROOT / "docs" / "how-to" / "make-a-model-smaller.md").read_text()
    assert not [name for name in plugs.names("pruners") if f"`{name}`" not in text]


def test_every_file_a_document_links_to_exists():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tutorial_runs(tmp_path):
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    code = "from evermodel.cli import main; main()"
    for command in commands(ROOT / "docs" / "tutorial.md"):
        words = shlex.split(command)[1:]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *words], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        expected = EXIT_OF_UPDATE if words[0] == "update" else (0,)
        if words[0] == "rollback" and "v2" not in (tmp_path / "promoted").read_text():
            expected = (2,)  # nothing was promoted, so that there is nothing to go back to
        assert done.returncode in expected, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        if words[0] == "update":
            (tmp_path / "promoted").write_text(done.stdout.splitlines()[-1])
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "updated_model.h5").exists()
    assert (tmp_path / "predicted.csv").exists()
