"""The command line: parses, calls the Python API, prints. It holds no logic of its own."""

from __future__ import annotations

import gc
import logging
import sys
import warnings
from pathlib import Path

from evermodel.cli.app import app

logger = logging.getLogger(__name__)

# Imports make hundreds of thousands of objects that stay. With its usual 700, 10, 10 Python looks through them over and
# over, a tenth of a short command's time; with these it still frees what a server or a long search leaves behind.
OBJECTS_BETWEEN_COLLECTIONS = (50_000, 20, 20)


def main() -> None:
    """Entry point of ``evermodel``.

    Exit code 2: a wrong request; 1: a failure, or a damaged registry. Neither shows a traceback; ``-v`` shows that of
    an unexpected error.
    """
    from evermodel.core.errors import EvermodelError
    from evermodel.core.files import disk_space
    from evermodel.core.masking import make_printable, mask_secrets

    usual = gc.get_threshold()
    gc.set_threshold(*OBJECTS_BETWEEN_COLLECTIONS)
    warnings.formatwarning = _format_warning
    try:
        with disk_space(Path.cwd(), "a file"):
            app(prog_name="evermodel")
    except EvermodelError as error:
        print(make_printable(f"evermodel: {error}"), file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        logger.info("The command failed unexpectedly.", exc_info=True)
        print(make_printable(mask_secrets(f"evermodel: unexpected {_describe(error)}")), file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    finally:
        gc.set_threshold(*usual)


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of ours as one sentence; one of another package as Python shows it."""
    if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parents[1]):
        from evermodel.core.masking import make_printable

        return make_printable(f"evermodel: warning: {message}") + "\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


def _describe(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    hint = (
        "" if logger.isEnabledFor(logging.INFO) else "\nHint: Run the command again with -v to see where it happened."
    )
    return f"{type(error).__name__}: {text or 'without a message'}{hint}"
