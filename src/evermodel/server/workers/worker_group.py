"""Several processes that answer on one port: starts them, starts one again that ended, and ends them all together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.multiprocess import mark_process_dead

from evermodel.core import errors
from evermodel.core.errors import EvermodelError
from evermodel.server.server_settings import DRAIN_SECONDS, ServerSettings
from evermodel.server.workers.worker_plan import WorkerNews, plan_worker

logger = logging.getLogger(__name__)
LOOK_SECONDS = 0.1  # between two looks at whether all workers run
SHORT_LIFE = 10.0  # seconds: a worker that ended sooner is started again only after a pause
LONGEST_PAUSE = 30.0
PATIENCE = DRAIN_SECONDS + 30  # seconds that a worker has to end, its log handed over; then it is killed
ENDS = (signal.SIGINT, signal.SIGTERM)


class Worker:
    """One process. ``news`` is what it told: that it answers, or why it cannot begin; None as long as it loads."""

    def __init__(self, plan: bytes, descriptor: int, environment: dict[str, str]) -> None:
        # -P: a file of the working directory must not be taken for a package.
        warnings = [f"-W{option}" for option in sys.warnoptions]
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", *warnings, "-m", "evermodel.server.workers.serving_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(descriptor,),
            env=environment,
        )
        self.began = time.monotonic()
        self.news: WorkerNews | None = None
        self.buried, self.replace_at = False, 0.0  # once it has ended
        self._input, self._output = self.process.stdin, self.process.stdout
        self._send(plan)
        self._listening = threading.Thread(target=self._listen, name="evermodel-worker-news", daemon=True)
        self._listening.start()

    def wait_until_ready(self) -> None:
        """Raises the error of a worker that cannot begin."""
        self._listening.join()
        if self.news is None:
            code = self.process.wait()
            raise EvermodelError(f"A worker ended with exit code {code} before it answered.", "Its log says more.")
        if not self.news.ready:
            kind = getattr(errors, self.news.error, EvermodelError)
            error = EvermodelError.__new__(kind)  # as it was raised there: some of the classes take other arguments
            EvermodelError.__init__(error, self.news.message, self.news.hint)
            raise error

    def close(self) -> None:
        """Lets go of the pipes of a worker that has ended."""
        for pipe in (self._input, self._output):
            if pipe is not None:
                pipe.close()

    def _send(self, plan: bytes) -> None:
        try:
            if self._input is not None:
                self._input.write(plan + b"\n")
                self._input.flush()  # it stays open: the worker ends once it is closed
        except BrokenPipeError:  # it has ended already; ``wait_until_ready`` says so
            logger.debug("A worker ended before it was told what to do.")

    def _listen(self) -> None:
        line = self._output.readline() if self._output is not None else b""
        if line:
            self.news = msgspec.json.decode(line, type=WorkerNews)


class WorkerGroup:
    """The processes of a server. This one binds the port and hands it on; it answers nothing and loads no model."""

    def __init__(self, settings: ServerSettings, listener: socket.socket) -> None:
        self.started = self.should_exit = False
        self._settings, self._listener = settings, listener
        # prometheus_client's files of all workers, those that have ended too: counters never go back.
        self._folder = tempfile.TemporaryDirectory(prefix="evermodel-serve-", ignore_cleanup_errors=True)
        level = logging.getLogger("evermodel").level if logging.getLogger("evermodel").handlers else 0
        self._plan = msgspec.json.encode(plan_worker(settings, listener.fileno(), self._folder.name, level))
        self._workers: list[Worker] = []
        self._pause = 0.0  # before a worker that ended is replaced

    def start(self) -> WorkerGroup:
        """Returns once all workers answer. Raises what loading raises; then none of them runs."""
        try:
            for _ in range(self._settings.workers):
                self._workers.append(self._begin())
            for worker in self._workers:
                worker.wait_until_ready()
        except BaseException:
            for worker in self._workers:
                worker.process.kill()
            self._close()
            raise
        self.started = True
        return self

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Watches the workers until SIGTERM, Ctrl-C or ``should_exit``; each then answers what it has begun."""
        with self._heeding_signals():
            try:
                while not self.should_exit:
                    time.sleep(LOOK_SECONDS)
                    self._replace_ended()
            finally:
                self._end()

    def _begin(self) -> Worker:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(Path.cwd() / path) for path in sys.path),
            "PROMETHEUS_MULTIPROC_DIR": self._folder.name,
        }
        return Worker(self._plan, self._listener.fileno(), environment)

    def _replace_ended(self) -> None:
        for at, worker in enumerate(self._workers):
            if worker.process.poll() is None:
                continue
            if not worker.buried:
                self._bury(worker)
            if time.monotonic() >= worker.replace_at:
                self._workers[at] = self._begin()

    def _bury(self, worker: Worker) -> None:
        """Takes what is counted of living workers out of the metrics, and says when the next one takes its place."""
        mark_process_dead(worker.process.pid, self._folder.name)  # type: ignore[no-untyped-call]
        worker.close()
        now = time.monotonic()
        lived = worker.news is not None and worker.news.ready and now - worker.began > SHORT_LIFE
        self._pause = 0.0 if lived else min(LONGEST_PAUSE, max(0.5, 2 * self._pause))
        worker.buried, worker.replace_at = True, now + self._pause
        why = worker.news.message if worker.news is not None and worker.news.message else ""
        code = worker.process.returncode
        logger.warning(
            "Worker %d ended (exit code %d)%s; another one is started.",
            worker.process.pid,
            code,
            f": {why}" * bool(why),
        )

    def _end(self) -> None:
        self._listener.close()  # the workers close theirs: then nobody is let in any more
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("Worker %d did not end within %d s and is killed.", worker.process.pid, PATIENCE)
                worker.process.kill()
        self._close()

    def _close(self) -> None:
        for worker in self._workers:
            worker.process.wait()
            worker.close()
        self._folder.cleanup()

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """The first signal ends the server in order. It is raised again at the end, as a program expects it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        received: list[int] = []

        def remember_signal(number: int, frame: Any) -> None:
            received.append(number)
            self.should_exit = True

        before = {each: signal.signal(each, remember_signal) for each in ENDS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for first in received[:1]:
            signal.raise_signal(first)
