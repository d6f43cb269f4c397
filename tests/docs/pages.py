"""Reads the pages of the documentation: their commands and their Python blocks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = (*READMES, *sorted(DOCS.rglob("*.md")))


def list_blocks(page: Path, language: str) -> list[str]:
    """The contents of the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def list_commands(page: Path, program: str = "evermodel") -> list[str]:
    """The lines ``$ evermodel …`` of the console blocks, without their comments."""
    lines = [line for block in list_blocks(page, "console") for line in block.splitlines()]
    return [line[2:].split("  #")[0].strip() for line in lines if line.startswith(f"$ {program} ")]


def name_page(page: Path) -> str:
    """The page's path in the repository, to name a test."""
    return page.relative_to(ROOT).as_posix()
