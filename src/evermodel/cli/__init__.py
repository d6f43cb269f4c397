"""The command line: parses, calls the loop, prints; no logic of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from evermodel.cli.app import app


def main() -> None:
    """Entry point of ``evermodel``: exit code 2 for a wrong request, 1 for a failure, never a traceback for either."""
    from evermodel.core.errors import EvermodelError
    from evermodel.core.files import disk_space

    try:
        with disk_space(Path("a file")):
            app(prog_name="evermodel")
    except EvermodelError as error:
        print(f"evermodel: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
