"""Posts notices to Slack, or to any service that takes Slack's incoming webhooks (Mattermost, Zulip …)."""

from __future__ import annotations

import json

from evermodel.core.http_post import post
from evermodel.core.notice import Notice
from evermodel.core.secrets import read_secret

__all__ = ["slack"]
SIGNS = {"ok": ":white_check_mark:", "warning": ":warning:", "critical": ":rotating_light:"}


def slack(notice: Notice, /, *, url: str, timeout: float = 10.0) -> None:
    """``{"text": …}`` to an incoming webhook. Its ``url`` is a secret: env:NAME or file:PATH.

    Raises NotDelivered, BadSetting.
    """
    lines = [_plain(line) for line in notice.text().splitlines()]
    text = "\n".join([f"{SIGNS.get(notice.level, '')} *{lines[0]}*", *lines[1:]])
    body = json.dumps({"text": text}).encode()
    post(read_secret(url, "url"), body, {"Content-Type": "application/json"}, timeout=timeout)


def _plain(text: str) -> str:
    """Escaped for Slack: the name of a column must not become a link or mention people."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
