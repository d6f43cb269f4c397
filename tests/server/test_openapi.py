"""The server does what its own description says, whatever is sent: no status that is not described, no 5xx but 503.

schemathesis makes the requests from ``/openapi.json``: right ones, and ones that break it in each way.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

import evermodel

# What a schema cannot say (lengths that depend on shapes, texts that are a table) makes right requests wrong.
LEFT_OUT = "positive_data_acceptance"


def find_faults(url: str, examples: int = 10) -> tuple[int, str]:
    """schemathesis's exit code, and what it says."""
    pytest.importorskip("schemathesis")
    code = "from schemathesis.cli import schemathesis; schemathesis()"
    limits = ["--max-examples", str(examples), "--seed", "1", "--no-color", "--exclude-checks", LEFT_OUT]
    command = [sys.executable, "-W", "ignore", "-c", code, "run", f"{url}/openapi.json", *limits]
    env = {**os.environ, "NO_PROXY": "127.0.0.1", "HYPOTHESIS_STORAGE_DIRECTORY": os.devnull}
    with tempfile.TemporaryDirectory() as folder:  # where it keeps what it found
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_the_server_does_what_it_describes(registry):
    with evermodel.serve("m", port=0, registry=registry) as server:
        code, told = find_faults(server.url)
        assert code == 0, told[told.find("FAILURES") :][:4000]
        assert "13 selected / 13 total" in told  # all operations were asked
        answer = httpx.get(f"{server.url}/v2/models/m/ready", trust_env=False)
    assert answer.json()["ready"] is True


@contextlib.contextmanager
def broken_server() -> Iterator[str]:
    """A server that fails on long texts."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def take(request):
        body = await request.json()
        return JSONResponse({}, 500 if isinstance(body, str) and len(body) > 3 else 200)

    content = {"application/json": {"schema": {"type": "string"}}}
    described = {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": {"/x": {"post": {"requestBody": {"content": content}, "responses": {"200": {"description": "x"}}}}},
    }

    async def describe(request):
        return JSONResponse(described)

    routes = [Route("/x", take, methods=["POST"]), Route("/openapi.json", describe)]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_server_that_fails_is_found_out():
    with broken_server() as url:
        code, told = find_faults(url)
    assert code == 1
    assert "Server error" in told
