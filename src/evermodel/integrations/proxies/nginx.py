"""nginx: a file with ``split_clients`` for its ``http`` block, and a signal after which nginx reads it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from evermodel.core.errors import BadSetting, NotDelivered
from evermodel.integrations.proxies.request_split import CHAMPION, ENTITY_HEADER, PARTS, VERSION_HEADER, RequestSplit

FORM = "nginx:FILE@PIDFILE"
_PLACE = re.compile(r"(?P<file>[^@]+\.conf)(?:@(?P<pid>[^@]+))?")
_NOTES = re.compile(r"^# model (?P<model>\S+), version (?P<version>\S+)$", re.MULTILINE)


def read_place(to: str) -> tuple[Path, Path | None]:
    """The file, and the one with the process id of nginx, where it is to be told. Raises BadSetting."""
    match = _PLACE.fullmatch(to)
    if match is None:
        raise BadSetting(
            f"`to` must be {FORM}: a file .conf, and the file with nginx's process id. Got {to!r}.",
            "For example nginx:/etc/nginx/conf.d/churn.conf@/run/nginx.pid.",
        )
    return Path(match["file"]), None if match["pid"] is None else Path(match["pid"])


def find_written(text: str) -> tuple[str, str]:
    """Model and version of a file that was written here; empty texts where it was written otherwise."""
    match = _NOTES.search(text)
    return ("", "") if match is None else (match["model"], match["version"])


def write_split(split: RequestSplit) -> str:
    """The file. It sets the variable ``$evermodel_NAME_version``, which a location sends on as a header."""
    base = "evermodel_" + re.sub(r"\W", "_", split.name, flags=re.ASCII)
    entity = "http_" + ENTITY_HEADER.replace("-", "_")
    lines = [
        "# Written by `evermodel publish`, and written anew each time.",
        f"# model {split.name}, version {split.version}",
        f"# In the location of the server: proxy_set_header {VERSION_HEADER} ${base}_version;",
        f'map "${entity}" ${base}_key {{',  # without that header: by chance
        '    "" "$request_id";',
        f'    default "${entity}";',
        "}",
        f'split_clients "${base}_key" ${base}_version {{',
    ]
    percent = round(100 * split.parts / PARTS, 2)  # nginx takes two places
    if split.share is not None and percent < 100:
        lines.append(f"    {max(0.01, percent):.2f}% {split.version};")
    rest = split.version if split.share is not None and percent >= 100 else CHAMPION
    return "\n".join([*lines, f"    * {rest};", "}", ""])


def tell_nginx(pid_file: Path) -> None:
    """Lets nginx read its files anew; it goes on with the old ones where they are wrong. Raises NotDelivered."""
    try:
        os.kill(int(pid_file.read_text()), signal.SIGHUP)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no process id"
        raise NotDelivered(
            f"nginx was not told to read its files anew: {pid_file}: {reason}.", "Reload it: nginx -s reload"
        ) from error
