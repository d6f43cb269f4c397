"""Sends the answer of a check to a running Nagios through its command file: a passive check."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path

from evermodel.core.errors import AskedWrongly, NotDelivered
from evermodel.integrations.nagios_check import CheckResult

ATOMIC = 4_000  # bytes; a pipe takes up to 4,096 whole, so that two writers never mix their lines
OBJECT = re.compile(r"[^;`~!$%^&*|'\"<>?,()=\n\r]{1,200}")  # what Nagios allows in the name of a host or a service


def send_passive(result: CheckResult, command_file: str | Path, *, host: str, service: str) -> None:
    """Write the answer as a passive result of ``service`` on ``host``, as Nagios's configuration names them.

    Raises AskedWrongly where the file is no command file, NotDelivered where no Nagios reads it; it never waits.

        $ evermodel check churn --passive nagios.cmd --host models --service churn
    """
    for option, name in (("host", host), ("service", service)):
        if not OBJECT.fullmatch(name):
            raise AskedWrongly(f"`{option}` must be a name that Nagios allows. Got {name!r}.")
    line = f"[{int(time.time())}] PROCESS_SERVICE_CHECK_RESULT;{host};{service};{result.exit_code};{result}"
    _write(Path(command_file), line.replace("\n", " ").encode()[:ATOMIC] + b"\n")


def _write(to: Path, line: bytes) -> None:
    try:
        pipe = os.open(
            to, os.O_WRONLY | os.O_NONBLOCK
        )  # without a reader this fails at once instead of waiting for ever
    except FileNotFoundError:
        raise AskedWrongly(f"There is no command file {to}.", "nagios.cfg names it: command_file=…") from None
    except OSError as error:
        raise NotDelivered(
            f"The command file {to} cannot be written: {error.strerror}.", "Check that Nagios runs."
        ) from None
    try:
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            raise AskedWrongly(f"{to} is no command file: Nagios makes a pipe.", "nagios.cfg names it: command_file=…")
        os.write(pipe, line)
    except BlockingIOError:
        raise NotDelivered(f"Nagios does not read {to}: the pipe is full.", "Check that it is not hanging.") from None
    finally:
        os.close(pipe)
