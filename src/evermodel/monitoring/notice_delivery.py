"""Sends each notice once a level: the store decides which of several replicas sends it."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.errors import BadSetting, EvermodelError, Moved
from evermodel.core.notice import LEVELS, NOTIFIERS, Notice, Notifier
from evermodel.core.records.event import EventKind, Notified
from evermodel.core.settings import read_settings, settings_of
from evermodel.core.store import Move, Store
from evermodel.registry.lookup import event

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Channel:
    """A notifier, a plugin of notifiers/, with its settings: ``Channel("webhook", {"url": "https://…"})``."""

    notifier: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """Which channels took a notice, by notifier, and the errors of the others."""

    notice: Notice
    sent_by: tuple[str, ...]
    failed: Mapping[str, str]


def send_once(store: Store, notice: Notice, channels: Sequence[Channel]) -> Delivery | None:
    """Sends a notice through each channel; None where its key was sent at this level before.

    Where every channel fails, the notice counts as not sent, and the next call tries again. Of several calls at once,
    one sends. Raises BadSetting or NotFound for a wrong channel, before anything is sent.
    """
    if notice.level not in LEVELS:
        raise BadSetting(f"A notice's level must be {', '.join(LEVELS)}. Got {notice.level!r}.")
    prepared = [(channel.notifier, *prepare_channel(channel)) for channel in channels]
    alias = "notice:" + hashlib.sha256(notice.key.encode()).hexdigest()[:40]
    sent_level = store.resolve_alias(notice.subject, alias)
    if not prepared or sent_level == notice.level or (sent_level is None and notice.level == "ok"):
        return None
    try:
        store.commit_moves(notice.subject, [Move(alias, notice.level, sent_level)], [])
    except Moved:
        return None
    sent_by, failed = [], {}
    for name, send, settings in prepared:
        try:
            send(notice, **settings)
            sent_by.append(name)
        except EvermodelError as error:
            logger.warning("The notifier %s did not deliver the notice %s.", name, notice.key, exc_info=True)
            failed[name] = error.message
    data = Notified(notice.key, notice.level, notice.what, tuple(sent_by), failed)
    undo = [] if sent_by else [Move(alias, sent_level or "ok", notice.level)]
    kind = EventKind.NOTIFIED if sent_by else EventKind.NOT_NOTIFIED
    store.commit_moves(notice.subject, undo, [event(notice.subject, kind, data)])
    return Delivery(notice, tuple(sent_by), failed)


def prepare_channel(channel: Channel) -> tuple[Notifier, dict[str, Any]]:
    """The notifier of a channel and its checked settings. Raises NotFound, BadSetting."""
    send = NOTIFIERS.load(channel.notifier)
    settings = read_settings(send, dict(channel.settings))
    for setting in settings_of(send):
        if setting.default is inspect.Parameter.empty and setting.name not in settings:
            raise BadSetting(
                f"The notifier {channel.notifier!r} needs the setting {setting.name!r}.",
                f"Give {setting.name} a value, such as {setting.name}=VALUE.",
            )
    return send, settings
