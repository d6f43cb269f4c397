"""Kubernetes: a CronJob that does what is due, its registry on a volume."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from evermodel.core.errors import AskedWrongly
from evermodel.integrations.config import checked_text
from evermodel.integrations.config.cron import fields

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,250}")


def kubernetes(
    to: Path,
    /,
    *,
    image: str,
    every: str = "15m",
    claim: str = "evermodel",
    secret: str = "",
    name: str = "evermodel-maintain",
    memory: str = "4Gi",
) -> Mapping[str, str]:
    """``image`` holds evermodel; ``claim``: volume claim of the registry; ``secret``: its keys become the
    environment."""
    for option, text in (("`claim`", claim), ("`name`", name), ("`secret`", secret or "none")):
        if not NAME.fullmatch(text):
            raise AskedWrongly(f"{option} must be lower-case letters, digits and '-'. Got {text!r}.")
    if not IMAGE.fullmatch(image):
        raise AskedWrongly(f"`image` must be the name of an image. Got {image!r}.")
    if not re.fullmatch(r"[1-9]\d{0,6}(Mi|Gi)", memory):
        raise AskedWrongly(f"`memory` must be a size such as 512Mi or 4Gi. Got {memory!r}.")
    quoted = {k: json.dumps(v) for k, v in (("image", image), ("when", fields(every)), ("memory", memory))}
    return {"cronjob.yaml": checked_text.fill_template("cronjob.yaml", **quoted, claim=claim, secret=secret, name=name)}
