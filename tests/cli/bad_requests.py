"""Requests that make no sense: names, versions, settings, places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cli.bad_rows import NEW
from tests.cli.ground import Case, Ground

Typed = Callable[[Ground], Sequence[str]]


def said(*words: str) -> Typed:
    return lambda g: words


def update(*more: str) -> Typed:
    return lambda g: ["update", "m", g.csv(NEW), *more]


def adopt(*more: str, name: str = "other", target: str = "y") -> Typed:
    return lambda g: ["adopt", str(g.model), "--data", str(g.reference), "--target", target, "--name", name, *more]


def predict(to: str) -> Typed:
    return lambda g: ["predict", "m", g.csv(NEW), "--to", str(g.folder / to)]


def file_registry(g: Ground) -> list[str]:
    return ["list", "--registry", g.put("registry", "I am a file")]


def damaged_registry(g: Ground) -> list[str]:
    (g.folder / "registry").mkdir()
    g.put("registry/evermodel.db", "not a database " * 100)
    return ["list", "--registry", str(g.folder / "registry")]


def two_of_one_name(g: Ground) -> list[str]:
    changed = g.put("m.txt", g.model.read_text() + "\n")
    return ["update", changed, g.csv(NEW), "--target", "y"]


def onto_folder(g: Ground) -> list[str]:
    (g.folder / "out.csv").mkdir()
    return ["predict", "m", g.csv(NEW), "--to", str(g.folder / "out.csv")]


def report_onto_folder(g: Ground) -> list[str]:
    (g.folder / "report.html").mkdir()
    return ["report", "m", "--to", str(g.folder / "report.html")]


def under_a_file(command: Sequence[str], to: str) -> Typed:
    def typed(g: Ground) -> list[str]:
        g.put("file", "I am a file")
        return [*command, "--to", str(g.folder / "file" / to)]

    return typed


TRICKS = {
    "../x": "letters",
    "a/b": "letters",
    "/etc/x": "letters",
    "x\0y": "letters",
    "x\ny": "letters",
    "x" * 300: "at most 100",
    "..": "letters",
    "a..b": "letters",
    "con\u202ecsv": "letters",
}
NAMES = [
    case
    for trick, says in TRICKS.items()
    for case in (
        Case(f"adopt as {trick[:12]!r}", adopt(name=trick), says, hint=True),
        Case(f"show {trick[:12]!r}", said("show", trick), says),
    )
]
CASES = [
    *NAMES,
    Case("no such command", said("updaet"), "no such command"),
    Case("no such option", said("list", "--hoem", "x"), "no such option"),
    Case("a word too few", said("update", "m"), "missing argument"),
    Case("no such model", said("show", "n"), "no model 'n'", hint=True),
    Case("no such version", said("show", "m", "v9"), "v9", hint=True),
    Case("a version that is no version", said("show", "m", "../../v1"), "no version", hint=True),
    Case("promote what is in service", said("promote", "m", "v1"), "already|serv"),
    Case("promote nothing", said("promote", "m", "v7"), "v7", hint=True),
    Case("roll back with nothing before", said("rollback", "m"), "nothing to go back to"),
    Case("roll back to nothing", said("rollback", "m", "--to", "v7"), "v7", hint=True),
    Case("judge the champion", said("judge", "m", "v1"), "champion itself"),
    Case("predict by no version", lambda g: [*predict("o.csv")(g), "--version", "v7"], "v7", hint=True),
    Case("an unknown --set", update("--with", "refit", "--set", "windwo=3"), "windwo", hint=True),
    Case("--set out of bounds", update("--with", "refit", "--set", "window=-3"), "window"),
    Case("--set of another type", update("--with", "refit", "--set", "window=many"), "window"),
    Case("--set that is no pair", update("--with", "refit", "--set", "window"), "KEY=VALUE"),
    Case("--set of auto", update("--set", "window=3"), "window|auto"),
    Case("a --budget in words", update("--budget", "soon"), "60s"),
    Case("a --budget of nothing", update("--budget", "0s"), "60s"),
    Case("a negative --budget", update("--budget=-5s"), "60s"),
    Case("an unknown --with", update("--with", "magic"), "magic", hint=True),
    Case("a --with that is a path", update("--with", "../refit"), "refit", hint=True),
    Case("an unknown --metric", update("--metric", "acuracy"), "acuracy", hint=True),
    Case("a --metric of another task", update("--metric", "r2"), "'r2' is no metric of a binary", hint=True),
    Case("a --margin in words", update("--margin", "small"), "--margin"),
    Case("a --margin of NaN", update("--margin", "nan"), "margin"),
    Case("a negative --margin", update("--margin", "-1"), "margin"),
    Case("a negative --seed", update("--seed", "-1"), "seed"),
    Case("an unknown --accept", update("--accept", "everything"), "everything"),
    Case("no --target", lambda g: ["adopt", str(g.model), "--data", str(g.reference)], "--target"),
    Case("an unknown --task", adopt("--task", "guess"), "--task"),
    Case("a --task the rows deny", adopt("--task", "regression", target="kind"), "number|regression"),
    Case("--inputs that are not there", adopt("--inputs", "a,b,knd"), "knd"),
    Case("--inputs too few", adopt("--inputs", "a"), "1|input|column"),
    Case("a --time that is not there", adopt("--time", "whne"), "whne"),
    Case("an --entity that is not there", adopt("--entity", "user"), "user"),
    Case("a --weight that is not there", adopt("--weight", "wght"), "wght"),
    Case("a --drop that is not there", adopt("--drop", "knd"), "knd"),
    Case("--slices that are not there", adopt("--slices", "sex"), "sex"),
    Case("a --transform that is not there", adopt("--transform", "nowhere.json"), "nowhere.json"),
    Case("adopt a name twice", adopt(name="m"), "already", hint=True),
    Case("another file under one name", two_of_one_name, "already", hint=True),
    Case("--to in a missing folder", predict("nowhere/out.csv"), "no folder"),
    Case("--to with an unknown suffix", predict("out.xlsx"), ".csv"),
    Case("--to a folder", onto_folder, "must name a file"),
    Case("save with an unknown suffix", lambda g: ["save", "m", "--to", str(g.folder / "x.h5")], "must end in"),
    Case("save under a file", under_a_file(["save", "m"], "x.txt"), "file|folder"),
    Case("report onto a folder", report_onto_folder, "folder"),
    Case("report under a file", under_a_file(["report", "m"], "r.html"), "file|folder"),
    Case("update --to under a file", lambda g: [*update()(g), *under_a_file([], "x.txt")(g)], "file|folder"),
    Case("update --to an unknown suffix", lambda g: [*update()(g), "--to", str(g.folder / "x.xyz")], "must end in"),
    Case("a registry that is a file", file_registry, "registry must be a folder"),
    Case("a registry whose database is noise", damaged_registry, "cannot be opened as a database", (1,), hint=True),
]


def unwritable(folder: Path) -> Case:
    """A registry on a read-only disk, mounted by who can (bench/bad_input.py)."""
    return Case("a registry that is read-only", said("list", "--registry", str(folder / "registry")), "write|read-only")
