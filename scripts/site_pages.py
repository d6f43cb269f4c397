"""The generated parts of the documentation: commands, plugins, the annotated tree. A hook of mkdocs.

A page says ``<!-- generated: commands -->`` where a part goes; it is made from the program itself whenever the site is
built, so that it cannot become stale.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "evermodel"
MARK = re.compile(r"<!-- generated: ([a-z_ ]+) -->")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Adopt, update and decide": ("adopt", "update", "judge", "explain", "promote", "rollback"),
    "Use a model": ("evaluate", "predict", "score", "save", "list", "show", "log", "report"),
    "Serve a model": ("serve", "label", "publish", "release", "delete"),
    "Search for a better model": ("tune", "prune", "fuse", "iterate"),
    "Monitor": ("watch", "metrics", "check", "integrate", "notify"),
    "Maintain": ("policy", "maintain", "approve"),
    "Keep the registry": ("history", "doctor", "reproduce", "backup", "restore", "gc"),
    "Learn": ("demo",),
}
KINDS: Mapping[str, str] = {
    "strategies": "Strategies: how an update trains (`--with`)",
    "tuners": "Tuners: how `tune` chooses the next point",
    "pruners": "Pruners: what `prune` takes out",
    "fusers": "Fusers: how `fuse` makes one model of several",
    "metrics": "Metrics",
    "gates": "Gates: the questions that the judge asks",
    "drift": "Drift statistics",
    "frameworks": "Frameworks",
    "sources": "Sources of rows",
    "notifiers": "Notifiers",
    "triggers": "Triggers of an update in maintenance",
    "stores": "Stores",
    "publishers": "Publishers: where `publish` hands versions over (`--to`)",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page: replaces the marks."""
    return MARK.sub(lambda match: PARTS[match[1]](), markdown)


def command_reference() -> str:
    """Every command with the help that the program prints."""
    from evermodel.cli.app import app

    parts = []
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_command(name, app.commands[name]) for name in names]
    rest = sorted(set(app.commands) - {name for names in GROUPS.values() for name in names})
    if rest:
        parts.append("## Others\n")
        parts += [_command(name, app.commands[name]) for name in rest]
    return "\n".join(parts)


def _command(name: str, command: Any) -> str:
    import click

    with click.Context(command, info_name=f"evermodel {name}", max_content_width=88, terminal_width=88) as context:
        return f"### {name}\n\n```text\n{command.get_help(context)}\n```\n"


def plugin_tables() -> str:
    """A table for each kind of plugin: name, settings, first sentence of its docstring."""
    parts = []
    for kind, title in KINDS.items():
        names = sorted(f.stem for f in (PACKAGE / "plugins" / kind).glob("*.py") if not f.stem.startswith("_"))
        if not names:
            continue
        parts.append(f"## {title}\n\n| name | what it is | settings |\n|---|---|---|")
        parts += [f"| `{name}` | {_summary(kind, name)} | {_settings(kind, name)} |" for name in names]
        parts.append("")
    return "\n".join(parts)


def _source(kind: str, name: str) -> ast.Module | None:
    file = PACKAGE / "plugins" / kind / f"{name}.py"
    return ast.parse(file.read_text(encoding="utf-8")) if file.exists() else None


def _summary(kind: str, name: str) -> str:
    """The first sentence of the plugin's docstring, read without importing the plugin."""
    tree = _source(kind, name)
    if tree is None:
        return ""
    own = next((n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name), None)
    text = (ast.get_docstring(own) if own is not None else None) or ast.get_docstring(tree) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def _settings(kind: str, name: str) -> str:
    """The keyword-only arguments of the plugin's function, with their defaults."""
    tree = _source(kind, name)
    own = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name), None) if tree else None
    if own is None or kind in ("metrics", "gates", "drift", "triggers"):
        return ""
    defaults = [(a.arg, ast.unparse(d)) for a, d in zip(own.args.kwonlyargs, own.args.kw_defaults, strict=True) if d]
    return ", ".join(f"`{key}={value}`" for key, value in defaults)


def annotated_tree() -> str:
    """Every folder of the package with the first sentence of its docstring, as a table."""
    rows = [f"| `{folder.relative_to(PACKAGE).as_posix()}/` | {first_line(folder)} |" for folder in folders()]
    return "\n".join(["| Folder of `src/evermodel/` | What is in it |", "|---|---|", *rows])


def folders() -> list[Path]:
    """The public folders of the package, parents first, in alphabetical order."""
    found = (file.parent for file in PACKAGE.rglob("__init__.py") if file.parent != PACKAGE)
    return sorted(f for f in found if not any(p.startswith("_") for p in f.relative_to(PACKAGE).parts))


def first_line(folder: Path) -> str:
    """The first paragraph of a package's docstring, as one line."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`")


def decision_list() -> str:
    """A link to each decision record, by its title."""
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    return "\n".join(
        f"- [{page.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}]({page.name})" for page in pages
    )


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": command_reference,
    "plugins": plugin_tables,
    "tree": annotated_tree,
    "decisions": decision_list,
}
