"""Tell each matter once: who tells it is settled in the store, so that of several replicas one does."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evermodel.core import plugs
from evermodel.core.errors import BadSetting, EvermodelError, Moved
from evermodel.core.notice import LEVELS, Notice
from evermodel.core.settings import read_settings, settings_of
from evermodel.core.store import Move, Store
from evermodel.loop.home import event


@dataclass(frozen=True)
class Told:
    """What became of a notice: which ways took it, and what the others said."""

    notice: Notice
    by: tuple[str, ...]
    failed: Mapping[str, str]


def tell(store: Store, notice: Notice, ways: Sequence[Mapping[str, Any]]) -> Told | None:
    """Send a notice by each of ``ways`` ({"with": "webhook", "url": …}); None if its key was told at this level before.

    Where no way takes it, it counts as not told, and the next call tries again. Of several at once, one sends.
    Raises BadSetting for a way or setting there is not, before anything is sent.
    """
    if notice.level not in LEVELS:
        raise BadSetting(f"A notice's level must be {', '.join(LEVELS)}. Got {notice.level!r}.")
    plans = [plan(way) for way in ways]
    alias = "notice:" + hashlib.sha256(notice.key.encode()).hexdigest()[:40]
    was = store.at(notice.subject, alias)
    if not plans or was == notice.level or (was is None and notice.level == "ok"):
        return None
    try:
        store.point(notice.subject, [Move(alias, notice.level, was)], [])
    except Moved:
        return None
    by, failed = [], {}
    for name, send, settings in plans:
        try:
            send(notice, **settings)
            by.append(name)
        except EvermodelError as error:
            failed[name] = error.message
    facts = {"key": notice.key, "level": notice.level, "what": notice.what, "by": by, "failed": failed}
    back = [] if by else [Move(alias, was or "ok", notice.level)]
    store.point(notice.subject, back, [event(notice.subject, "notified" if by else "not notified", facts)])
    return Told(notice, tuple(by), failed)


def plan(way: Mapping[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """Name, notifier and checked settings of a way. Raises NotFound, BadSetting."""
    settings = dict(way)
    name = str(settings.pop("with", ""))
    send = plugs.function("notifiers", name)
    given = read_settings(send, settings)
    for setting in settings_of(send):
        if setting.default is inspect.Parameter.empty and setting.name not in given:
            raise BadSetting(f"{name} needs the setting {setting.name!r}.", f"'with = \"{name}\"' stands beside it.")
    return name, send, given
