"""Rules of the code that a reader cannot check by eye: what decides, what is typed, what is lost, what things are
called.

A rule that the tree does not keep everywhere yet has a number in ``LEFT``: how many places are left. It may only fall.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "evermodel"
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {file: ast.parse(file.read_text()) for file in FILES}

LEFT: dict[str, int] = {}

# Words that say what was done to a thing, and not what a function does.
PARTICIPLES = frozenset(
    """asked begun brought built done drawn found given gone got had heard held kept known learnt left lost made meant
    met said seen sent shown spoken stood taken thought told understood worn written""".split()  # noqa: SIM905
)
NO_PARTICIPLES = {
    "embed",
    "exceed",
    "feed",
    "need",
    "proceed",
    "seed",
    "speed",
    "succeed",
}  # words that only end like one
NAMES_OF_THE_FIELD = {"balanced_accuracy"}

# Several modules of one name, because they are the same thing for several frameworks, models or doors.
REPEATED = {
    "booster": "each booster's own",
    "hyperparameters": "one a framework, the same ability",
    "learning_curve": "one a framework, the same ability, and its record",
    "fold_layers": "one a framework, the same ability",
    "watch": "the verb, and the step of maintenance that calls it: a step is named by its file",
    "predict": "one a framework, the same ability",
    "prune_channels": "one a framework, the same ability",
    "widen": "one a framework, the same ability, and the strategy that uses it",
    "fit": "one a framework, the same ability",
    "tree": "one a booster, its own format",
    "training_parameters": "one a booster, its own",
    "sql": "a store and a source: kinds of plugins name by the field's word",
    "random": "a tuner, named by the field's word",
    "log": "a notifier, named by the field's word",
    "auc": "the arithmetic of the area under a curve, and the metric that uses it",
    "ensemble": "a model made of models, and the framework that keeps it",
}
WORDS_OF_OTHERS = {  # where another package's error says what happened in words alone
    "registry/adoption/sandbox.py": "torch and TensorFlow say in words alone that memory was refused",
}
DOORS = ("cli", "api", "testing", "demo")  # folders that repeat the names of what they lead to


def calls_logger_with_traceback(node: ast.AST) -> bool:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            if call.func.attr == "exception":
                return True
            if any(k.arg == "exc_info" for k in call.keywords):
                return True
    return False


def keeps_the_cause(handler: ast.ExceptHandler) -> bool:
    """Whether the error is raised again, or is the cause of another that is."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            if node.exc is None:
                return True
            if isinstance(node.cause, ast.Name) and node.cause.id == handler.name:
                return True
    return False


def decisions_on_messages() -> Iterator[str]:
    """Comparisons and ``startswith`` on the text of an error or of a message made for people."""
    for file, tree in TREES.items():
        place = file.relative_to(SOURCE).as_posix()
        if place in WORDS_OF_OTHERS or place.startswith("testing/"):
            continue
        for node in ast.walk(tree):
            texts: list[ast.expr] = []
            if isinstance(node, ast.Compare):
                texts = [node.left, *node.comparators]
                if any(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
                    continue
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr not in ("startswith", "endswith"):
                    continue
                texts = [node.func.value]
                words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                if any(re.fullmatch(r"[a-z]+ [a-z ]*", word) for word in words):
                    yield f"{file.relative_to(SOURCE)}:{node.lineno}"
                    continue
            for text in texts:
                plain = ast.unparse(text)
                if re.search(r"\bstr\((error|e|err|exc|exception)\)|\.(message|hint)\b|reasons\[-1\]", plain):
                    yield f"{file.relative_to(SOURCE)}:{node.lineno}"


def untyped_stores() -> Iterator[str]:
    """``store: Any`` or ``registry: Any``."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            name = annotation = None
            if isinstance(node, ast.arg):
                name, annotation = node.arg, node.annotation
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name, annotation = node.target.id, node.annotation
            if name in ("store", "registry") and annotation is not None and "Any" in ast.unparse(annotation):
                yield f"{file.relative_to(SOURCE)}:{node.lineno}"


def untyped_facts() -> Iterator[str]:
    """``facts["x"]`` and ``facts.get("x")``: a record's field by its key."""
    for file in FILES:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if re.search(r"\bfacts(\[|\.get\()", line):
                yield f"{file.relative_to(SOURCE)}:{number}"


def formatter_switched_off() -> Iterator[str]:
    """``fmt: skip`` and ``fmt: off``."""
    for file in FILES:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if re.search(r"#\s*fmt:\s*(skip|off)", line):
                yield f"{file.relative_to(SOURCE)}:{number}"


def lost_tracebacks() -> Iterator[str]:
    """A handler of every exception that neither logs the traceback nor raises with the error as its cause."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ast.unparse(node.type) if node.type else "BaseException"
            if not re.search(r"\b(Exception|BaseException)\b", caught):
                continue
            if not calls_logger_with_traceback(node) and not keeps_the_cause(node):
                yield f"{file.relative_to(SOURCE)}:{node.lineno}"


def ambiguous_modules() -> Iterator[str]:
    """Two modules of one name, outside of the doors, that are not the same thing of several frameworks."""
    stems: dict[str, list[str]] = {}
    for file in FILES:
        parts = file.relative_to(SOURCE).parts
        if file.stem != "__init__" and parts[0] not in DOORS:
            stems.setdefault(file.stem.lstrip("_"), []).append("/".join(parts))
    for stem, places in stems.items():
        if len(places) > 1 and stem not in REPEATED:
            yield f"{stem}: {', '.join(places)}"


def functions_named_by_participles() -> Iterator[str]:
    """Public functions and methods whose name is, or begins with, a participle: they should be a verb and an object."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
                continue
            decorators = {ast.unparse(d).split(".")[-1] for d in node.decorator_list}
            if decorators & {"property", "cached_property"}:
                continue
            first = node.name.split("_")[0]
            participle = first in PARTICIPLES or (first.endswith("ed") and first not in NO_PARTICIPLES)
            if participle and node.name not in NAMES_OF_THE_FIELD:
                yield f"{file.relative_to(SOURCE)}:{node.lineno} {node.name}"


RULES = (
    decisions_on_messages,
    untyped_stores,
    untyped_facts,
    formatter_switched_off,
    lost_tracebacks,
    ambiguous_modules,
    functions_named_by_participles,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_is_kept(rule) -> None:
    places = sorted(set(rule()))
    allowed = LEFT.get(rule.__name__, 0)
    assert len(places) <= allowed, f"{rule.__doc__} {len(places)} places, {allowed} allowed:\n" + "\n".join(places)


def test_the_source_is_found() -> None:
    assert len(FILES) > 400


EXAMPLES = {
    decisions_on_messages: 'try: f()\nexcept OSError as error:\n    if "full" in str(error): g()\n',
    untyped_stores: "def f(store: Any) -> None: ...\n",
    untyped_facts: 'x = card.facts["n"]\n',
    formatter_switched_off: "x = [1,2]  # fmt" + ": skip\n",
    lost_tracebacks: "try: f()\nexcept Exception:\n    pass\n",
    functions_named_by_participles: "def looked_at(): ...\n",
}


@pytest.mark.parametrize("rule", EXAMPLES, ids=lambda rule: rule.__name__)
def test_a_rule_finds_what_breaks_it(rule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(EXAMPLES[rule])
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    monkeypatch.setattr(f"{__name__}.FILES", [file])
    monkeypatch.setattr(f"{__name__}.TREES", {file: ast.parse(EXAMPLES[rule])})
    assert list(rule())
