"""One worker of a server of several processes. It is started as ``python -m`` by ``WorkerGroup``, and by nobody else.

It listens on the socket that it inherits, and ends as soon as its standard input is closed: so none outlives the
process that watches it, even where that one was killed.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from evermodel.core.errors import EvermodelError
from evermodel.core.masking import SafeFormatter
from evermodel.server.build_server import build_server
from evermodel.server.workers.worker_plan import WorkerNews, WorkerPlan

if TYPE_CHECKING:
    import uvicorn

Tell = Callable[[WorkerNews], None]


def main() -> int:
    """Answers until it is ended; the exit code."""
    tell = _open_channel()
    plan = _read_plan()
    if plan.level:
        _log_to_stderr(plan.level)
    listener = socket.socket(fileno=plan.descriptor)
    try:
        server = build_server(plan.settings, Path(plan.folder))
    except EvermodelError as error:
        tell(WorkerNews(False, type(error).__name__, error.message, error.hint))
        return 1
    except KeyboardInterrupt:
        return 130
    threading.Thread(target=_follow_watcher, args=(server, tell), daemon=True).start()
    server.run(sockets=[listener])
    return 0


def _open_channel() -> Tell:
    """Tells news by the standard output. What libraries print goes to the standard error from now on."""
    channel = os.dup(1)
    os.dup2(2, 1)

    def tell(news: WorkerNews) -> None:
        os.write(channel, msgspec.json.encode(news) + b"\n")

    return tell


def _read_plan() -> WorkerPlan:
    # Read past Python's buffer: a thread that waits in it at the end of the process would be a fatal error.
    held = b""
    while not held.endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            raise SystemExit("This is a part of 'evermodel serve --workers'; it is not run by hand.")
        held += part
    return msgspec.json.decode(held, type=WorkerPlan)


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"))
    logger = logging.getLogger("evermodel")
    logger.handlers = [handler]
    logger.setLevel(level)


def _follow_watcher(server: uvicorn.Server, tell: Tell) -> None:
    """Says when the server answers; ends it when whoever watches it is gone."""
    while not server.started:
        time.sleep(0.005)
    tell(WorkerNews(True))
    while os.read(0, 1 << 10):
        pass
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
