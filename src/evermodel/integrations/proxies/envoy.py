"""Envoy: a route configuration in a file that Envoy watches, with a weight for each version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadSetting
from evermodel.integrations.proxies.request_split import CHAMPION, ENTITY_HEADER, PARTS, VERSION_HEADER, RequestSplit

CLUSTER = "evermodel"
FORM = "envoy:FILE@CLUSTER"
_PLACE = re.compile(r"(?P<file>[^@]+\.(?:ya?ml|json))(?:@(?P<cluster>[A-Za-z0-9_.:-]{1,60}))?")


def read_place(to: str) -> tuple[Path, str]:
    """The file, and Envoy's name of the servers behind it. Raises BadSetting."""
    match = _PLACE.fullmatch(to)
    if match is None:
        raise BadSetting(
            f"`to` must be {FORM}: a file .yaml or .json, and Envoy's name of the cluster of servers. Got {to!r}.",
            "For example envoy:/etc/envoy/churn.yaml@evermodel.",
        )
    return Path(match["file"]), match["cluster"] or CLUSTER


def find_written(text: str) -> tuple[str, str]:
    """Model and version of a file that was written here; empty texts where it was written otherwise."""
    try:
        notes = json.loads(text)["resources"][0]["virtual_hosts"][0]["metadata"]["filter_metadata"]["evermodel"]
        return str(notes["model"]), str(notes["version"])
    except (ValueError, LookupError, TypeError):
        return "", ""


def write_routes(split: RequestSplit, cluster: str) -> str:
    """The file: JSON, which is YAML too. Envoy reads it when another takes its place; no connection is dropped."""
    weights = [(split.version, split.parts), (CHAMPION, PARTS - split.parts)]
    # The released version comes first: who was drawn for it still is where its share grows.
    clusters = [
        {
            "name": cluster,
            "weight": weight,
            "request_headers_to_add": [
                {"header": {"key": VERSION_HEADER, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            ],
        }
        for value, weight in weights
        if weight
    ]
    route: dict[str, Any] = {
        "weighted_clusters": {"clusters": clusters, "use_hash_policy": True},
        "hash_policy": [{"header": {"header_name": ENTITY_HEADER}}],  # without that header: by chance
        "timeout": "60s",
    }
    host = {
        "name": split.name,
        "domains": ["*"],
        "metadata": {"filter_metadata": {"evermodel": {"model": split.name, "version": split.version}}},
        "routes": [{"match": {"prefix": "/"}, "route": route}],
    }
    resource = {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": split.name,
        "virtual_hosts": [host],
    }
    held = {"version_info": f"{split.version} {split.parts}", "resources": [resource]}
    return json.dumps(held, indent=2) + "\n"
