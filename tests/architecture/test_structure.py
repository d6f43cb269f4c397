"""The structure: sizes, start-up, names."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from evermodel.core.data.source import SOURCES
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.strategy import FUSERS, PRUNERS, STRATEGIES
from evermodel.core.model.trials import TUNERS
from evermodel.core.notice import NOTIFIERS
from evermodel.core.plugins import FunctionKind
from evermodel.core.publication import PUBLISHERS
from evermodel.core.stats.drift_statistic import DRIFT_STATISTICS
from evermodel.core.stats.metric import METRICS
from evermodel.core.store import STORES
from evermodel.core.trigger import TRIGGERS
from evermodel.judging.judge_input import GATES
from evermodel.maintenance.job_context import STEPS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "evermodel"
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY_PACKAGES = (
    "keras",
    "tensorflow",
    "torch",
    "sklearn",
    "lightgbm",
    "xgboost",
    "pandas",
    "polars",
    "numpy",
    "scipy",
    "sqlalchemy",
)
KINDS = (
    SOURCES,
    FRAMEWORKS,
    STRATEGIES,
    TUNERS,
    PRUNERS,
    FUSERS,
    METRICS,
    GATES,
    DRIFT_STATISTICS,
    STORES,
    NOTIFIERS,
    TRIGGERS,
    PUBLISHERS,
    STEPS,
    TRIGGERS,
)
FORBIDDEN = {"utils", "helpers", "common", "base", "manager", "util", "helper"}


def test_the_suite_finds_the_source():
    assert len(FILES) > 400


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_a_file_is_short_and_so_are_its_functions(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            documented = ast.get_docstring(node, clean=False) or ""
            body = (node.end_lineno or 0) - node.body[0].lineno + 1 - len(documented.splitlines())
            assert body <= 70, f"{file.name}: {node.name} has {body} lines"


def test_no_folder_has_more_than_20_modules():
    folders = {f.parent for f in FILES}
    sizes = {str(d.relative_to(SOURCE)): len([m for m in d.glob("*.py") if m.stem != "__init__"]) for d in folders}
    assert {name: size for name, size in sizes.items() if size > 20} == {}


def test_no_module_has_a_name_that_says_nothing():
    assert not {p.stem for p in SOURCE.rglob("*")} & FORBIDDEN


def test_importing_evermodel_loads_nothing_heavy():
    code = f"import sys, evermodel; print([m for m in {HEAVY_PACKAGES!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom evermodel.cli.app import app\n"
        f"app(['--help'], standalone_mode=False); print([m for m in {HEAVY_PACKAGES!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_plugin_imports_and_has_the_name_of_its_file(kind):
    names = kind.names()
    assert names
    for name in names:
        assert kind.load_module(name).__doc__, f"{kind.name}/{name} has no docstring"
        if isinstance(kind, FunctionKind):
            assert kind.load(name).__name__ == name


def test_every_folder_of_plugins_is_a_kind():
    folders = {d.name for d in (SOURCE / "plugins").iterdir() if (d / "__init__.py").is_file()}
    assert {kind.name for kind in KINDS} == folders | {"steps"}


def test_every_public_verb_is_documented_with_an_example():
    import evermodel

    verbs = [name for name in evermodel.__all__ if inspect.isfunction(getattr(evermodel, name))]
    assert len(verbs) > 30
    for verb in verbs:
        documented = getattr(evermodel, verb).__doc__ or ""
        assert "$ evermodel" in documented or ">>> " in documented, verb


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
