"""The server's addresses, as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import evermodel
from evermodel.integrations.access import Access, AccessRule
from evermodel.server.feedback_endpoint import FeedbackEndpoint
from evermodel.server.http_answers import answer_error, answer_json
from evermodel.server.open_inference import describe_model
from evermodel.server.openapi import describe_server
from evermodel.server.prediction_endpoints import PredictionEndpoints
from evermodel.server.request_tracing import RequestTracer
from evermodel.server.served_models import ServedModel, ServedModels
from evermodel.server.server_metrics import ServerMetrics
from evermodel.server.server_settings import ServerSettings


class InferenceApp:
    """Everything the server answers: predictions by ``PredictionEndpoints``, all else by Starlette's router."""

    def __init__(
        self, models: ServedModels, metrics: ServerMetrics, settings: ServerSettings, rule: AccessRule
    ) -> None:
        self.models, self.metrics, self.rule = models, metrics, rule
        self.tracer = RequestTracer(settings.trace) if settings.trace else None
        self.predictions = PredictionEndpoints(models, metrics, settings.limits, self.tracer)
        self.feedback = FeedbackEndpoint(settings.registry, settings.limits)

    def build(self) -> ASGIApp:
        """The application with all its addresses, behind the rule of access."""
        get, post = ["GET"], ["POST"]
        routes = [
            Route("/v2/models/{name}", self.show_model, methods=get),
            Route("/v2/models/{name}/versions/{version}", self.show_model, methods=get),
            Route("/v2/models/{name}/ready", self.show_model_ready, methods=get),
            Route("/v2/models/{name}/versions/{version}/ready", self.show_model_ready, methods=get),
            Route("/v2", self.show_server, methods=get),
            Route("/v2/health/live", self.show_live, methods=get),
            Route("/v2/health/ready", self.show_ready, methods=get),
            Route("/ping", self.show_ready, methods=get),
            Route("/health", self.show_ready, methods=get),
            Route("/version", self.show_version, methods=get),
            Route("/metrics", self.show_metrics, methods=get),
            Route("/openapi.json", self.show_openapi, methods=get),
            Route("/models/{name}/feedback", self.take_labels, methods=post),
            # Answered by PredictionEndpoints before they get here; listed, so that another method is told 405.
            *(Route(path, self.predictions, methods=post) for path in PREDICTION_PATHS),
        ]
        handlers = {404: _answer_no_such_address, 405: _answer_wrong_method}
        router = Starlette(routes=routes, exception_handlers=handlers, lifespan=self._run)
        return FrontDoor(router, self.predictions, self.rule)

    @asynccontextmanager
    async def _run(self, app: Starlette) -> AsyncIterator[None]:
        """Follows the registry while the server runs."""
        self.models.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self.models.stop)
            if self.tracer is not None:
                await asyncio.to_thread(self.tracer.close)
            self.predictions.pool.shutdown(wait=False)
            self.predictions.shadow_pool.shutdown(wait=False)

    def _answer_unknown(self, request: Request) -> Response:
        return self.predictions.answer_unknown(request.path_params["name"], request.path_params.get("version", ""))

    def _find(self, request: Request) -> ServedModel | None:
        served = self.models.find(request.path_params["name"])
        version = request.path_params.get("version")
        return served if served is None or version in (None, served.current.version) else None

    async def show_model(self, request: Request) -> Response:
        """A model's inputs and outputs."""
        served = self._find(request)
        if served is None:
            return self._answer_unknown(request)
        return answer_json(describe_model(served.current))

    async def show_model_ready(self, request: Request) -> Response:
        """Whether a model answers; one that is served always does."""
        served = self._find(request)
        if served is None:
            return self._answer_unknown(request)
        held: dict[str, Any] = {"name": served.name, "ready": True, "version": served.current.version}
        if served.trial is not None:
            trial = served.trial
            held["trial"] = {"version": trial.plan.version, "share": trial.plan.share, "stopped": trial.stopped}
        if served.failed_version:
            held |= {"not_put_in": served.failed_version, "because": served.failure}
        return answer_json(held)

    async def show_server(self, request: Request) -> Response:
        """What the server is."""
        about = {"name": "evermodel", "version": evermodel.__version__, "extensions": ["binary_tensor_data"]}
        return answer_json(about)

    async def show_live(self, request: Request) -> Response:
        """Whether the server runs."""
        return answer_json({"live": True})

    async def show_ready(self, request: Request) -> Response:
        """Whether the server answers: it begins to listen only once every model is loaded."""
        return answer_json({"live": True, "ready": True, "models": self.models.list_names()})

    async def show_version(self, request: Request) -> Response:
        """The release, as plain text."""
        return Response(evermodel.__version__, media_type="text/plain")

    async def show_metrics(self, request: Request) -> Response:
        """Prometheus's metrics; in a thread, since the models' own are read from the registry."""
        self.models.count_lost()
        text = await asyncio.to_thread(self.metrics.expose)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def take_labels(self, request: Request) -> Response:
        """Labels of predictions that were answered before."""
        served = self.models.find(request.path_params["name"])
        return (
            self._answer_unknown(request) if served is None else await self.feedback.take_labels(request, served.name)
        )

    async def show_openapi(self, request: Request) -> Response:
        """The description of this interface."""
        current = [served.current for name in self.models.list_names() if (served := self.models.find(name))]
        return answer_json(describe_server(current))


PREDICTION_PATHS = (
    "/invocations",
    "/models/{name}/invocations",
    "/v2/models/{name}/infer",
    "/v2/models/{name}/versions/{version}/infer",
)


class FrontDoor:
    """Turns away whoever may not ask, before anything of the request is read; sends requests where they belong."""

    def __init__(self, router: ASGIApp, predictions: PredictionEndpoints, rule: AccessRule) -> None:
        self.router, self.predictions, self.rule = router, predictions, rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or runs the server's life."""
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        host, authorization = b"localhost", b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"authorization":
                authorization = value
        access = self.rule.check(host.decode("latin-1"), authorization.decode("latin-1"))
        if access is Access.ALLOWED:
            app = self.predictions if self.predictions.matches(scope) else self.router
            await app(scope, receive, send)
            return
        response = answer_error(access.value, _REASONS[access])
        if access is Access.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        await response(scope, receive, send)


_REASONS = {
    Access.UNAUTHORIZED: "A token is needed.",
    Access.MISDIRECTED: "Ask by the name localhost or by the loopback address, or start the server with a token.",
}


def _answer_no_such_address(request: Request, error: Exception) -> Response:
    return answer_error(404, "There is no such address.", "/openapi.json lists those there are.")


def _answer_wrong_method(request: Request, error: Exception) -> Response:
    response = answer_error(405, "This address is not asked that way.", "/openapi.json lists how.")
    response.headers.update(getattr(error, "headers", None) or {})
    return response
