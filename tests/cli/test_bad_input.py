"""Bad input through the command line: exit 2, a sentence, no traceback, the store untouched (all of it: bench/)."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace

import pytest

pytest.importorskip("lightgbm")

from tests.cli import bad_models, bad_requests, bad_rows
from tests.cli.ground import Answer, Case, Ground, ask, faults, make_ground, snapshot

CASES = [c for c in (*bad_rows.CASES, *bad_requests.CASES, *bad_models.CASES) if not c.slow]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def ground(prepared, tmp_path, monkeypatch) -> Ground:
    """A folder to stand in, with a copy of the registry."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    shutil.copytree(prepared.registry, tmp_path / "registry")
    return replace(prepared, folder=folder, registry=tmp_path / "registry")


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_it_is_said_and_nothing_is_changed(case, ground):
    if case.signature and importlib.util.find_spec(case.signature) is None:
        pytest.skip(f"needs {case.signature}")
    typed = list(case.typed(ground))
    before = snapshot(ground.registry)
    answer = ask(typed, ground.registry)
    assert faults(case, answer, before, snapshot(ground.registry)) == []
    assert not (ground.folder / "canary").exists(), "code from the file was run"


def test_the_bomb_is_live(ground):
    """Trusted by name it goes off: the cases above are attacks, and were defused."""
    bomb = ground.put("bomb.pkl", bad_models.BOMB)
    assert ask(bad_models.adopt(bomb, ground, "--trust", bomb), ground.registry).code == 2
    assert (ground.folder / "canary").is_dir()


def test_the_look_at_the_store_sees_every_change(ground):
    before = snapshot(ground.registry)
    assert before == snapshot(ground.registry)
    assert any(k.startswith("versions/m/v1/") for k in before)
    (next((ground.registry / "blobs").glob("*/*"))).write_bytes(b"other")
    assert before != snapshot(ground.registry)


def test_faults_are_found():
    case = Case("x", lambda g: [], "no rows", hint=True)
    good = Answer(2, "", "evermodel: The file has no rows.\nHint: Give some.")
    assert faults(case, good, {}, {}) == []
    assert len(faults(case, replace(good, code=1), {}, {})) == 1
    assert len(faults(case, replace(good, err=good.err + "Traceback"), {}, {})) == 1
    assert len(faults(case, replace(good, err="evermodel: no rows."), {}, {})) == 1
    assert len(faults(case, good, {}, {"versions/m/v2": "folder"})) == 1
