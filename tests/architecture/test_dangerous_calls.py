"""Whatever could run a stranger's code or a shell is called in few places, each with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "evermodel"
NAMES = {"eval", "exec", "compile", "__import__", "execfile"}
MODULES = {
    "pickle": {"load", "loads", "Unpickler"},
    "cloudpickle": {"load", "loads"},
    "dill": {"load", "loads"},
    "joblib": {"load"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "torch": {"load"},
    "export": {"load"},
    "os": {"system", "popen", "execv", "execvp", "execve", "spawnl", "spawnv", "startfile"},
    "yaml": {"load", "unsafe_load", "full_load"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "tempfile": {"mktemp"},
}
ANYWHERE = {"load_model", "load_weights", "import_module", "exec_module"}  # whatever module they are called on
KEYWORDS = {
    "shell": False,
    "allow_pickle": False,
    "weights_only": True,
    "safe_mode": True,
}  # the value that is harmless
REASONS = {  # file: why what is called there does no harm
    "__init__.py": "our own modules, by names in our own table",
    "core/plugins.py": "plugins of installed packages; their names are looked up in the list of those there are",
    "core/model/user_code.py": "Python files that --trust names, by their SHA-256, and no others",
    "demo/textbook.py": "the demonstration's own model, which is shipped with it",
    "integrations/integrate.py": "our own modules, by the name of a kind that was looked up before",
    "plugins/frameworks/_keras/reading/load_trusted.py": "a file that --trust names, and no other",
    "plugins/frameworks/_keras/reading/build_model.py": "weights into a network built from a checked structure",
    "plugins/frameworks/_pickles.py": "a file that --trust names, and no other",
    "plugins/frameworks/_plain_files/use_catboost.py": "a file that we saved, in a process of its own",
    "plugins/frameworks/_plain_files/use_keras.py": "a file that we saved, and what --trust named, in its own process",
    "plugins/frameworks/_plain_files/use_torch.py": "a file that we saved, in a process of its own",
    "plugins/frameworks/_torch/modules.py": "the module that --factory names: the user's own code",
    "plugins/frameworks/catboost.py": "CatBoost's own format, which holds trees and no code",
    "plugins/frameworks/torch.py": "weights alone, unless --trust names the file",
    "registry/adoption/sandbox.py": "the packages of a framework, by names in our own table",
}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def find_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        module, _, function = name.rpartition(".")
        if name in NAMES or function in ANYWHERE or function in MODULES.get(module.rpartition(".")[2], ()):
            yield node.lineno, name
        for keyword in node.keywords:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else "not a constant"
            if keyword.arg in KEYWORDS and value is not KEYWORDS[keyword.arg]:
                yield node.lineno, f"{name}({keyword.arg}={value})"


FOUND = {
    file.relative_to(SOURCE).as_posix(): found
    for file in sorted(SOURCE.rglob("*.py"))
    if (found := list(find_calls(ast.parse(file.read_text()))))
}


def test_each_has_a_reason():
    assert {file: calls for file, calls in FOUND.items() if file not in REASONS} == {}


def test_each_reason_is_needed():
    assert sorted(REASONS) == sorted(FOUND)


@pytest.mark.parametrize(
    "text", ["eval('1')", "pickle.loads(b)", "run(a, shell=True)", "torch.load(a)", "load(a, weights_only=b)"]
)
def test_the_rule_sees_them(text):
    assert list(find_calls(ast.parse(text)))
