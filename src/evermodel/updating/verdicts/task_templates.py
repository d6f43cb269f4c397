"""Fills the templates of a task file for each of its rows, in a child process under limits.

A task file may come from a stranger, and a Jinja template can ask for more memory and time than there is. So Jinja's
sandbox, which keeps a template away from files and Python, runs in a process that may not take long or much.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from evermodel.core.errors import BadData

SECONDS = 60  # of processor time for all rows, and twice that of waiting
MEMORY = 2_000_000_000  # bytes
CHILD = "from evermodel.updating.verdicts.task_templates import run_child; run_child()"
FIELDS = ("description", "doc_to_text", "doc_to_target", "doc_to_choice")
logger = logging.getLogger(__name__)


def fill_templates(fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each row what the fields of the task file become: texts, and a list of choices. Raises BadData."""
    told = {k: fields[k] for k in FIELDS if k in fields}
    given = json.dumps({"fields": told, "rows": list(rows), "seconds": SECONDS, "memory": MEMORY}, default=str)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    try:
        done = subprocess.run(  # noqa: S603 - our own code; the task is its input
            [sys.executable, "-W", "ignore", "-c", CHILD],
            input=given,
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BadData(f"Filling the templates of the task takes more than {2 * SECONDS} s.") from None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        raise BadData(
            f"Filling the templates of the task takes more than {SECONDS} s of the processor, or more memory than "
            f"{MEMORY / 1e9:g} GB.",
            "Look at doc_to_text, doc_to_choice and doc_to_target.",
        )
    answer = json.loads(lines[-1])
    if "error" in answer:
        raise BadData(answer["error"], "The names in double braces are the columns of the rows.")
    filled: list[dict[str, Any]] = answer["filled"]
    return filled


# -- in the child --------------------------------------------------------------------------------------------------
def run_child() -> None:
    """Reads the task as JSON, fills its templates, and prints the answer as JSON."""
    given = json.load(sys.stdin)
    import jinja2.sandbox

    resource.setrlimit(resource.RLIMIT_CPU, (given["seconds"], given["seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (given["memory"], given["memory"]))
    space = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    filled = []
    for number, row in enumerate(given["rows"], 1):
        try:
            filled.append({name: _fill(space, name, told, row) for name, told in given["fields"].items()})
        except Exception as error:  # a template may fail in any way
            logger.info("A template could not be filled.", exc_info=True)
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            sys.stdout.write(
                json.dumps({"error": f"A template of the task cannot be filled with row {number} ({said})."})
            )
            return
    sys.stdout.write(json.dumps({"filled": filled}))


def _fill(space: Any, name: str, told: Any, row: Mapping[str, Any]) -> Any:
    """A field as lm-evaluation-harness reads it: the name of a column, or a template; choices are a list then."""
    if isinstance(told, dict):
        return list(told.values())
    if not isinstance(told, str):
        return told
    if told in row and name != "description":
        return row[told]
    text = space.from_string(told).render(**row)
    if name == "doc_to_choice" or (name == "doc_to_target" and text[:1] == "[" and text[-1:] == "]"):
        return ast.literal_eval(text)
    return text
