"""Answers requests for predictions: the path that every request takes, kept free of what costs more than predicting."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from evermodel.core.errors import AskedWrongly
from evermodel.integrations.proxies.request_split import VERSION_HEADER
from evermodel.server.answering import Answer, Question, answer_question
from evermodel.server.binary_tensors import LENGTH_HEADER, read_length, split_body
from evermodel.server.checked_rows import SHOWN
from evermodel.server.http_answers import answer_error, answer_known_error
from evermodel.server.log_writer import LogWriter, NotLogged, build_entry
from evermodel.server.open_inference import read_request, read_tensors
from evermodel.server.prepared_model import PreparedModel
from evermodel.server.request_body import read_body
from evermodel.server.request_stream import BodyTooLarge, Headers, answer_late, read_media_type, read_stream
from evermodel.server.request_tracing import RequestTracer
from evermodel.server.served_models import ServedModel, ServedModels
from evermodel.server.server_metrics import ServerMetrics
from evermodel.server.server_settings import ServerLimits
from evermodel.server.trials.trial_version import MOST_WAITING, TrialVersion

logger = logging.getLogger(__name__)
requests_log = logging.getLogger("evermodel.server.requests")
INLINE_SECONDS = 0.005  # a prediction up to this long holds up nobody: it needs no thread of its own
INLINE_BYTES = 1 << 20
DRAWN_HEADER = VERSION_HEADER.encode()
MODEL_HEADER, ID_HEADER = "x-evermodel-model", "x-request-id"
Read = Callable[[bytes, PreparedModel], Question]


@dataclass(frozen=True)
class Asked:
    """Who is asked, and how the body is read."""

    served: ServedModel
    read: Read


@dataclass(frozen=True)
class Answered:
    """The body of an answer; or a response that says why there is none."""

    body: bytes = b""
    problem: Response | None = None
    rows: int = 0
    refused: int = 0
    version: str = ""
    json_length: int | None = None

    @property
    def status(self) -> int:
        return 200 if self.problem is None else self.problem.status_code


class PredictionEndpoints:
    """``/invocations`` and ``/infer`` as an ASGI application."""

    def __init__(
        self,
        models: ServedModels,
        metrics: ServerMetrics,
        limits: ServerLimits,
        tracer: RequestTracer | None = None,
        threads: int = 2,
    ) -> None:
        self.models, self.metrics, self.limits, self.tracer = models, metrics, limits, tracer
        self.in_flight = 0
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="evermodel-predict")
        self.shadow_pool = ThreadPoolExecutor(1, thread_name_prefix="evermodel-shadow")
        self._background: set[asyncio.Task[None]] = set()
        self._boot, self._count = secrets.token_hex(8), itertools.count(1)

    def matches(self, scope: Scope) -> bool:
        """Whether a request is one for predictions."""
        if scope["method"] != "POST":
            return False
        path: str = scope["path"]
        if path.endswith("/invocations"):
            return path == "/invocations" or _split_path(path, "/models/", "/invocations") is not None
        return path.endswith("/infer") and _split_path(path, "/v2/models/", "/infer") is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers: Headers = dict(scope["headers"])
        path: str = scope["path"]
        asked = self._read_infer(path, headers) if path.endswith("/infer") else self._read_invocation(scope, headers)
        if isinstance(asked, Response):
            await asked(scope, receive, send)
            return
        served = asked.served
        if self.in_flight >= self.limits.requests:
            self.metrics.count_request(served.name, 429, 0.0)
            busy = answer_error(429, f"The server answers {self.limits.requests} requests at once.", "Come back.")
            await busy(scope, receive, send)
            return
        began = time.perf_counter()
        identity = f"{self._boot}{next(self._count):x}"
        prepared = served.current
        self._count_in_flight(1)
        try:
            answered = await self._answer(headers, receive, served, prepared, asked.read, identity)
        finally:
            self._count_in_flight(-1)
        took = time.perf_counter() - began
        self.metrics.count_request(served.name, answered.status, took)
        self.metrics.count_rows(served.name, answered.version, answered.rows, answered.refused)
        request_id = headers.get(b"x-request-id", b"")[:100] or identity.encode()
        if requests_log.isEnabledFor(logging.INFO):
            _log_request(identity, request_id, prepared, answered, took)
        if self.tracer is not None:
            self._trace_request(self.tracer, headers, path, took, identity, prepared, answered)
        await _send_answer(answered, request_id, scope, receive, send)

    def _count_in_flight(self, more: int) -> None:
        self.in_flight += more
        self.metrics.in_flight.set(self.in_flight)

    def _trace_request(
        self,
        tracer: RequestTracer,
        headers: Headers,
        path: str,
        took: float,
        identity: str,
        prepared: PreparedModel,
        answered: Answered,
    ) -> None:
        """A span of what the log of requests says too."""
        ended = time.time_ns()
        tracer.record(
            headers,
            _find_route(path),
            answered.status,
            ended - int(took * 1e9),
            ended,
            prediction_id=identity,
            model=prepared.name,
            version=answered.version or prepared.version,
            rows=answered.rows,
            refused_rows=answered.refused,
        )

    def _read_invocation(self, scope: Scope, headers: Headers) -> Asked | Response:
        """MLflow's ``/invocations``."""
        media_type = read_media_type(headers)
        if isinstance(media_type, Response):
            return media_type
        refuse = False
        if scope["query_string"]:
            on_error = parse_qs(scope["query_string"].decode("latin-1")).get("on_error", ["answer"])[-1]
            if on_error not in ("answer", "refuse"):
                return answer_error(400, f"on_error must be answer or refuse. Got {on_error[:SHOWN]!r}.")
            refuse = on_error == "refuse"
        path: str = scope["path"]
        name = "" if path == "/invocations" else path[len("/models/") : -len("/invocations")]
        name = unquote(name) or headers.get(b"x-evermodel-model", b"").decode("latin-1")
        served = self.models.find(name) if name else self.models.only()
        if served is None:
            return self.answer_unknown(name)
        most = self.limits.rows

        def read(body: bytes, prepared: PreparedModel) -> Question:
            rows = read_body(body, media_type, prepared.contract.names, most)
            return Question(rows, "refuse" if refuse else "answer")

        return Asked(served, read)

    def _read_infer(self, path: str, headers: Headers) -> Asked | Response:
        """The Open Inference Protocol's ``infer``. Its tensors have no place for a refused row: all or none."""
        name, version = _split_path(path, "/v2/models/", "/infer") or ("", "")
        served = self.models.find(name)
        if served is None or version not in ("", served.current.version):
            return self.answer_unknown(name, version)
        most = self.limits.rows

        def read(body: bytes, prepared: PreparedModel) -> Question:
            head, behind = split_body(body, read_length(headers))
            inference = read_request(head)
            return Question(read_tensors(inference, prepared.contract.names, most, behind), "refuse", inference)

        return Asked(served, read)

    async def _answer(
        self,
        headers: Headers,
        receive: Receive,
        served: ServedModel,
        prepared: PreparedModel,
        read: Read,
        identity: str,
    ) -> Answered:
        try:
            body = await read_stream(headers, receive, self.limits)
            drawn = headers.get(DRAWN_HEADER, b"").decode("latin-1")
            question, answer = await self._compute(body, served, prepared, read, identity, drawn)
            writer = self.models.writers.get(prepared.name)
            if writer is not None:
                now = time.time()
                await writer.append(build_entry(question.rows, answer, identity, now, writer.moments))
            if served.trial is not None and served.trial.is_shadow:
                self._show_shadow(served.trial, question, identity)
        except BodyTooLarge as error:
            return Answered(problem=answer_error(413, error.message, error.hint))
        except AskedWrongly as error:
            return Answered(problem=answer_known_error(error), refused=len(getattr(error, "refused", ())))
        except NotLogged as error:
            return Answered(problem=answer_error(503, error.message, error.hint))
        except TimeoutError as error:
            return Answered(problem=answer_late(error, self.limits.seconds))
        except Exception:
            logger.exception("%s %s failed to answer request %s.", prepared.name, prepared.version, identity)
            more = f"The server's log says more of {identity}."
            return Answered(problem=answer_error(500, "The model failed to answer.", more))
        version = answer.prepared.version
        rows, refused = len(answer.checked), len(answer.checked.refused)
        return Answered(answer.body, None, rows, refused, version, answer.json_length)

    async def _compute(
        self, body: bytes, served: ServedModel, prepared: PreparedModel, read: Read, identity: str, drawn: str
    ) -> tuple[Question, Answer]:
        """Short work at once; long work in a thread, so that others are answered meanwhile."""
        if len(body) > INLINE_BYTES:
            question = await self._run_in_thread(read, body, prepared)
        else:
            question = read(body, prepared)
        trial = served.trial
        if trial is not None and trial.takes(question.rows, identity, drawn):
            try:
                return await self._answer_by(trial.prepared, question, identity)
            except AskedWrongly:
                raise
            except Exception:  # nobody is harmed by a canary: the champion answers for it
                logger.exception("The canary %s %s failed.", prepared.name, trial.plan.version)
                trial.count_failure()
        return await self._answer_by(prepared, question, identity)

    async def _answer_by(self, prepared: PreparedModel, question: Question, identity: str) -> tuple[Question, Answer]:
        short = prepared.estimate_seconds(question.rows.total) <= INLINE_SECONDS
        if short and prepared.lock.acquire(blocking=False):
            try:
                return question, answer_question(prepared, question, identity)
            finally:
                prepared.lock.release()
        answered: tuple[Question, Answer] = await self._run_in_thread(_answer_locked, prepared, question, identity)
        return answered

    def _show_shadow(self, trial: TrialVersion, question: Question, identity: str) -> None:
        """Lets the shadow answer in the background; it is left out where it does not keep up."""
        writer = self.models.shadow_writers.get(trial.plan.name)
        if trial.stopped or writer is None:
            return
        if trial.waiting >= MOST_WAITING:
            trial.skipped += 1
            return
        trial.waiting += 1
        task = asyncio.create_task(self._answer_as_shadow(trial, writer, question, identity))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _answer_as_shadow(
        self, trial: TrialVersion, writer: LogWriter, question: Question, identity: str
    ) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, answer = await loop.run_in_executor(self.shadow_pool, _answer_locked, trial.prepared, question, identity)
            await writer.append(build_entry(question.rows, answer, identity, time.time(), writer.moments))
        except Exception:
            logger.exception("The shadow %s %s failed.", trial.plan.name, trial.plan.version)
            trial.count_failure()
        finally:
            trial.waiting -= 1

    async def _run_in_thread(self, work: Callable[..., Any], *words: object) -> Any:
        async with asyncio.timeout(self.limits.seconds):
            return await asyncio.get_running_loop().run_in_executor(self.pool, work, *words)

    def answer_unknown(self, name: str, version: str = "") -> Response:
        """The answer where no model, or not this version of it, is served."""
        known = ", ".join(self.models.list_names()[:20])
        if not name:
            say = f"Name it: POST /models/NAME/invocations, or the header {MODEL_HEADER}. There is: {known}."
            return answer_error(400, "Several models are served.", say)
        what = f"{name} {version}".strip()
        return answer_error(404, f"{what[:SHOWN]!r} is not served here.", f"There is: {known}.")


async def _send_answer(answered: Answered, request_id: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    if answered.problem is not None:
        answered.problem.headers[ID_HEADER] = request_id.decode("latin-1")
        await answered.problem(scope, receive, send)
        return
    length = str(len(answered.body)).encode()
    kind = b"application/json" if answered.json_length is None else b"application/octet-stream"
    head = [(b"content-type", kind), (b"content-length", length), (b"x-request-id", request_id)]
    if answered.json_length is not None:
        head.append((LENGTH_HEADER, str(answered.json_length).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answered.body})


def _log_request(identity: str, request_id: bytes, prepared: PreparedModel, answered: Answered, took: float) -> None:
    line = {
        "id": identity,
        "request_id": request_id.decode("latin-1"),
        "model": prepared.name,
        "version": answered.version or prepared.version,
        "rows": answered.rows,
        "refused": answered.refused,
        "status": answered.status,
        "ms": round(1000 * took, 3),
    }
    requests_log.info("%s", msgspec.json.encode(line).decode())


def _split_path(path: str, before: str, after: str) -> tuple[str, str] | None:
    """Name and version in ``/v2/models/NAME[/versions/VERSION]/infer``; None where the path is another."""
    if not path.startswith(before):
        return None
    parts = path[len(before) : -len(after)].split("/")
    if len(parts) == 1 and parts[0]:
        return unquote(parts[0]), ""
    if len(parts) == 3 and parts[1] == "versions" and before == "/v2/models/":
        return unquote(parts[0]), unquote(parts[2])
    return None


def _find_route(path: str) -> str:
    """The address without the names of models, as a span calls it."""
    if path.endswith("/infer"):
        return "/v2/models/{name}/infer"
    return path if path == "/invocations" else "/models/{name}/invocations"


def _answer_locked(prepared: PreparedModel, question: Question, identity: str) -> tuple[Question, Answer]:
    with prepared.lock:
        return question, answer_question(prepared, question, identity)
