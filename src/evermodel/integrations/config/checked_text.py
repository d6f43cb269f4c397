"""Checks what is written into other programs' configuration: nothing that could end a string or begin a new key."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from evermodel.core.durations import find_seconds
from evermodel.core.errors import AskedWrongly

ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
DURATION = re.compile(r"[1-9]\d{0,4}[smhdw]")  # as Prometheus writes it
URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]+")
PATH = re.compile(r"[^\x00-\x1f\"'\\`$;!{}|&<>*?#]+")  # what YAML, a shell, and Nagios would all take for a plain path


def address(text: str, option: str) -> str:
    """HOST:PORT. Raises AskedWrongly."""
    found = ADDRESS.fullmatch(text)
    if not found or not 0 < int(found[1]) < 65_536:
        raise AskedWrongly(f"{option} takes HOST:PORT, such as localhost:9464. Got {text!r}.")
    return text


def url(text: str, option: str) -> str:
    """An http or https URL. Raises AskedWrongly."""
    try:
        parts = urlsplit(text)
        right = URL.fullmatch(text) and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise AskedWrongly(f"{option} takes a URL, such as http://localhost:9090. Got {text!r}.")
    return text


def seconds(text: str, option: str) -> int:
    """15s, 5m, 2h, 1d -> seconds. Raises AskedWrongly."""
    found = find_seconds(text) if DURATION.fullmatch(text) else None
    if found is None:
        raise AskedWrongly(f"{option} takes a time such as 15s, 5m, 2h or 1d. Got {text!r}.")
    return int(found)


def path(at: str | Path, option: str) -> str:
    """An absolute path without characters that mean something to YAML, a shell or Nagios. Raises AskedWrongly."""
    text = str(Path(at).expanduser().absolute())
    if not PATH.fullmatch(text):
        raise AskedWrongly(f"{option} must be a path without quotes, $, ;, ! and the like. Got {text!r}.")
    return text


def fill_template(template: str, **values: Any) -> str:
    """A template of files/, filled in. Its marks are [[ ]] and [% %], because Prometheus's own are {{ }}."""
    return str(_surroundings().get_template(f"{template}.j2").render(**values))


@cache
def _surroundings() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("evermodel.integrations.config", "files"),
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - not HTML
    )
