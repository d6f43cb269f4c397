"""Builds the server of one process: its models are loaded, and it can begin to answer."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from evermodel.registry.lookup import open_store
from evermodel.server.asgi_app import InferenceApp
from evermodel.server.served_models import ServedModels
from evermodel.server.server_metrics import ServerMetrics
from evermodel.server.server_settings import DRAIN_SECONDS, ServerSettings
from evermodel.server.trials.trial_outcome import SharedTrials
from evermodel.server.trials.trial_version import parse_trials

KEEP_ALIVE_SECONDS = 30  # an idle connection is closed after so long


def build_server(settings: ServerSettings, shared: Path | None = None) -> uvicorn.Server:
    """``shared``: the folder in which the processes of one server keep metrics and trials; None: there is one process.

    Raises what loading raises: NotFound, Damaged, MissingExtra.
    """
    metrics = ServerMetrics(settings.names, settings.registry, shared)
    trials = parse_trials(settings.shadow, settings.canary)
    store = open_store(settings.registry)
    models = ServedModels(store, settings.names, metrics, settings.log, trials, SharedTrials(shared))
    models.load_all()
    app = InferenceApp(models, metrics, settings, settings.check())
    config = uvicorn.Config(
        app.build(),
        lifespan="on",
        log_config=None,  # the command line sets up logging; a library does not
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is not looked at
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    return uvicorn.Server(config)
