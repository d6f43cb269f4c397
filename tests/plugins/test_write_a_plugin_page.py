"""The page "Write a plugin" shows the package that is installed and run, word by word, and names every kind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "stranger_package"
PAGE = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE, flags=re.M | re.S))
KINDS = sorted(d.name for d in (ROOT / "src" / "evermodel" / "plugins").iterdir() if (d / "__init__.py").is_file())


def test_the_page_shows_the_package() -> None:
    assert set(SHOWN) == {
        "pyproject.toml",
        *(
            f"src/stranger_plugins/{name.name}"
            for name in (PACKAGE / "src" / "stranger_plugins").glob("*.py")
            if name.stem != "__init__"
        ),
    }


@pytest.mark.parametrize("file", SHOWN)
def test_a_block_is_the_file(file: str) -> None:
    assert SHOWN[file] == (PACKAGE / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_in_the_table(kind: str) -> None:
    assert f"| `evermodel.{kind}` |" in PAGE


def test_the_checks_of_the_page_are_there() -> None:
    import importlib

    named = re.findall(r"`(evermodel\.testing\.\w+)(?:\.(\w+))?` \|", PAGE)
    assert len(named) >= len(KINDS)
    for module, function in named:
        assert hasattr(importlib.import_module(module), function or "CHECKS")
