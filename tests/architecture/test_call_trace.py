"""How much of Evermodel one update, and one check by maintain, pass through: the numbers may only fall."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "trace_update.py"
# Files and functions. Before the rebuild: 89 and 398 for an update, 99 and 428 for a check.
# Each gate, metric, trigger, drift statistic and source is a plugin of its own file: 19 of an update's files, 18 of a
# check's. Dialects, totals, grades, unknown values, the cost of serving and the check of the refit model came since.
MOST = {"update": (113, 512), "check": (114, 466)}


def test_an_update_and_a_check_pass_few_files() -> None:
    pytest.importorskip("lightgbm")
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True)
    counts = re.findall(r"^an? (update|check) .*: (\d+) files, (\d+) functions$", done.stdout, re.M)
    assert [what for what, _, _ in counts] == ["update", "check"], done.stdout
    for what, files, functions in counts:
        most_files, most_functions = MOST[what]
        assert 20 < int(files) <= most_files
        assert 50 < int(functions) <= most_functions
