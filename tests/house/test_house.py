"""The measures of the house: sizes, floors, start-up, names."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from evermodel.core import plugs

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "evermodel"
FILES = sorted(SOURCE.rglob("*.py"))
FRAMEWORKS = (
    "keras",
    "tensorflow",
    "torch",
    "sklearn",
    "lightgbm",
    "xgboost",
    "pandas",
    "polars",
    "numpy",
    "sqlalchemy",
)
ROOMS = (
    "sources", "frameworks", "updates", "tuners", "pruners", "fusers", "metrics", "detectors", "gates", "stores",
    "notifiers",
)  # fmt: skip
FORBIDDEN = {"utils", "helpers", "common", "base", "manager", "util", "helper"}


def test_the_suite_sees_the_house():
    assert len(FILES) > 50


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_a_file_is_short_and_so_are_its_functions(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            documented = ast.get_docstring(node, clean=False) or ""
            body = (node.end_lineno or 0) - node.body[0].lineno + 1 - len(documented.splitlines())
            assert body <= 40, f"{file.name}: {node.name} has {body} lines"
            assert len(documented.splitlines()) <= 12, f"{file.name}: {node.name}'s docstring is too long"


def test_no_room_is_called_after_nothing():
    assert not {p.stem for p in SOURCE.rglob("*")} & FORBIDDEN


def test_importing_evermodel_loads_nothing_heavy():
    code = f"import sys, evermodel; print([m for m in {FRAMEWORKS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom evermodel.cli.app import app\n"
        f"app(['--help'], standalone_mode=False); print([m for m in {FRAMEWORKS!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("room", ROOMS)
def test_every_plug_imports_and_has_the_name_of_its_file(room):
    found = plugs.names(room)
    assert found
    for name in found:
        module = plugs.module(room, name)
        assert module.__doc__, f"{room}/{name} has no docstring"
        if room not in ("sources", "frameworks", "detectors"):
            assert callable(getattr(module, name))


def test_every_public_verb_is_documented_with_an_example():
    import evermodel

    for verb in evermodel.VERBS:
        assert "$ evermodel" in (getattr(evermodel, verb).__doc__ or ""), verb


def test_every_command_is_a_verb_and_has_an_example_in_its_help():
    from evermodel.cli.app import app

    for name, command in app.commands.items():
        assert "Example:" in (command.help or ""), name
    assert set(app.commands) >= {
        "adopt",
        "update",
        "judge",
        "promote",
        "rollback",
        "evaluate",
        "predict",
        "save",
        "list",
    }
