"""A running vLLM whose adapters are loaded and unloaded by HTTP."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from evermodel.core.errors import NotDelivered

KEY = "VLLM_API_KEY"  # the variable by which vLLM itself is given its key
SECONDS = 120.0  # to load an adapter
NOT_ALLOWED = (403, 404, 405)


@dataclass(frozen=True)
class AdapterServer:
    """``url`` is that of the server, without ``/v1``. Every method raises NotDelivered where the server refuses."""

    url: str

    def find_adapter(self, name: str) -> str | None:
        """The folder of the adapter that the server answers with under ``name``; None without one."""
        status, answer = self._ask("GET", "/v1/models", None)
        if status != 200:
            raise NotDelivered(f"{self.url} answered {status} when asked for its models.", "Is it a vLLM?")
        models = answer.get("data", []) if isinstance(answer, dict) else []
        found = (m for m in models if isinstance(m, dict) and m.get("id") == name and m.get("parent") is not None)
        return next((str(m.get("root")) for m in found), None)

    def load_adapter(self, name: str, folder: str) -> None:
        """The adapter in ``folder`` answers under ``name``, instead of the one that did.

        It is replaced in place where the server can do that; an older one is told to unload it first.
        """
        body: dict[str, Any] = {"lora_name": name, "lora_path": folder}
        before = self.find_adapter(name)
        status, answer = self._ask(
            "POST", "/v1/load_lora_adapter", body if before is None else {**body, "load_inplace": True}
        )
        if status == 400 and before is not None and "already" in _read_message(answer):
            status, answer = self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})
            if status == 200:
                status, answer = self._ask("POST", "/v1/load_lora_adapter", body)
                if status != 200:  # the readers get the adapter before, not none
                    self._ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": before})
        if status == 200:
            return
        if status in NOT_ALLOWED:
            raise NotDelivered(
                f"{self.url} takes no adapters while it runs (it answered {status}).",
                "Start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True.",
            )
        raise NotDelivered(
            f"{self.url} did not load the adapter ({status}: {_read_message(answer)}).",
            f"Does the server see {folder}, does it serve the network that stands beside it, and is --max-lora-rank "
            "high enough?",
        )

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - seen before
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return answer.status, _read_json(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _read_json(error.read())
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise NotDelivered(f"{self.url} cannot be reached ({reason}).", "Is vLLM up?") from None


def _read_json(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")


def _read_message(answer: Any) -> str:
    """What the server says of an error, in any of the forms it had."""
    told = answer.get("error", answer) if isinstance(answer, dict) else answer
    said = told.get("message", told) if isinstance(told, dict) else told
    return " ".join(str(said).split())[:200]
