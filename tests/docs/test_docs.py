"""The documentation agrees with the program: commands parse, links lead somewhere, tables are complete."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import re
import shlex
import tomllib

import click
import pytest

from tests.docs.pages import DOCS, PAGES, READMES, ROOT, list_blocks, list_commands, name_page

COMMANDS = [(name_page(page), command) for page in PAGES for command in list_commands(page)]


def load_site_pages():
    """The hook of mkdocs that makes the generated parts."""
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "scripts" / "site_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_and_commands_are_found():
    assert len(PAGES) >= 50
    assert len(COMMANDS) >= 100


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value)
def test_every_command_parses(page, command):
    from evermodel.cli.app import app

    name, *words = shlex.split(command)[1:]
    if name == "--version":
        return
    verb = app.commands[name]
    with click.Context(verb, info_name=name) as context:
        verb.parse_args(context, words)


@pytest.mark.parametrize(
    ("page", "kind"),
    [("choose-a-strategy.md", "strategies"), ("prune-a-model.md", "pruners"), ("fuse-models.md", "fusers")],
)
def test_every_plugin_is_in_the_table_of_its_page(page, kind):
    folder = ROOT / "src" / "evermodel" / "plugins" / kind
    names = [file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")]
    text = (DOCS / "how-to" / page).read_text()
    assert len(names) >= 5
    assert not [name for name in names if f"`{name}`" not in text]


def test_every_linked_file_exists():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{name_page(page)} links to {target}"


def test_every_setting_of_a_policy_is_described_with_its_default():
    from evermodel.core.records.maintenance_policy import Policy

    text = (DOCS / "reference" / "settings-and-files.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, flags=re.M))
    for field in dataclasses.fields(Policy):
        assert field.name in rows, f"{field.name} is not described"
        if isinstance(field.default, (str, int, float)):
            assert rows[field.name].strip().strip("`") == str(field.default), field.name


def test_both_readmes_show_the_same_code():
    english, chinese = [list_blocks(page, "[a-z]+") for page in READMES]
    assert len(english) >= 4
    assert english == chinese
    links = [re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")) for page in READMES]
    assert set(links[0]) - {"README.zh-CN.md"} == set(links[1]) - {"README.md"}


def test_the_command_reference_holds_every_command_and_option():
    from evermodel.cli.app import app

    text = load_site_pages().command_reference()
    assert "## Others" not in text, "a new command needs a place in scripts/site_pages.py, GROUPS"
    for name, command in app.commands.items():
        assert f"### {name}\n" in text
        for option in (o for p in command.params if isinstance(p, click.Option) and not p.hidden for o in p.opts):
            assert option in text


def test_every_folder_of_the_tree_is_described():
    site = load_site_pages()
    folders = site.folders()
    assert len(folders) >= 30
    for folder in folders:
        assert site.first_line(folder).endswith("."), f"{folder} needs one sentence in its __init__.py"


def test_every_plugin_is_described():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", load_site_pages().plugin_tables(), flags=re.M)
    assert len(rows) >= 60
    assert not [name for name, summary in rows if not summary.strip()]


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text()
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert not [page for page in pages if page not in text and not re.fullmatch(r"decisions/\d+-.*", page)]


def test_decision_records_are_numbered_and_complete():
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {int(record.name[:4])}. ")
        for part in ("**Context.**", "**Choice.**", "**Cost.**"):
            assert part in text, f"{record.name} has no {part}"


def test_the_layers_are_those_that_import_linter_checks():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c for c in contracts if c["type"] == "layers" and "evermodel.core" in c["layers"])["layers"]
    expected = [layer.replace("evermodel.", "").split(" | ") for layer in layers]
    text = (DOCS / "reference" / "architecture.md").read_text()
    described = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, flags=re.M)]
    assert [sorted(layer) for layer in described] == [sorted(layer) for layer in expected]


def test_every_option_in_the_text_exists():
    from evermodel.cli.app import app

    known = list_options(app)
    assert len(known) > 60
    for page in PAGES:
        if page.parent.name == "benchmarks":  # these are options of the benches
            continue
        mentioned = set(re.findall(r"`(?:evermodel [^`]*)?(--[a-z][a-z-]+)", page.read_text(encoding="utf-8")))
        assert mentioned <= known | {"--help", "--version"}, f"{name_page(page)}: {mentioned - known}"


def list_options(command):
    """The options of a command and of all commands below it."""
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*(list_options(c) for c in getattr(command, "commands", {}).values()))


def test_every_module_in_the_text_exists():
    for page in PAGES:
        for path in re.findall(r"`(evermodel(?:\.\w+)+)[`(]", page.read_text(encoding="utf-8")):
            kind = ROOT / "src" / "evermodel" / "plugins" / path.split(".")[1]
            if path in ("evermodel.cfg", "evermodel.db") or kind.is_dir():  # files, and groups of entry points
                continue
            assert resolve_name(path), f"{name_page(page)} names {path}"


def resolve_name(path: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found is not None
    return False
