"""The command line as a module of Python."""

from __future__ import annotations

import subprocess
import sys


def test_python_m_is_the_command_line():
    answer = subprocess.run([sys.executable, "-m", "evermodel", "--help"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("Usage:")
    assert "update" in answer.stdout
