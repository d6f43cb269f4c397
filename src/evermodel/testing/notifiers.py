"""What every notifier must promise. ``check_notifier`` runs all checks; AssertionError names the broken promise.

``send`` sends a notice with the notifier's settings to a receiver that listens, and ``received`` gives the texts that
came so far. ``fail`` sends to a receiver that is not there, with settings that hold the secret ``secret``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evermodel.core.errors import NotDelivered
from evermodel.core.notice import Notice

Send = Callable[[Notice], object]
EXAMPLE = Notice(
    "drift:age",
    "churn",
    "critical",
    "age drifts: PSI 0.31 <here>\r\nBcc: all@example.org",
    "2026-01-02T03:04:05+00:00",
    {"rows": 500, "ä": "ü"},
    "evermodel update churn NEW_ROWS",
)


@dataclass(frozen=True)
class Notifier:
    """A notifier with settings for a receiver that listens, and for one that is not there."""

    send: Send
    received: Callable[[], Sequence[str]]
    fail: Send
    secret: str


Check = Callable[[Notifier], None]


def check_everything_arrives(notifier: Notifier) -> None:
    """Subject, level, text, time and the next command reach the receiver; one notice is one message."""
    before = len(notifier.received())
    notifier.send(EXAMPLE)
    new = list(notifier.received())[before:]
    assert len(new) == 1, f"{len(new)} messages came of one notice"
    for part in ("churn", "critical", "PSI 0.31", EXAMPLE.since, EXAMPLE.next_command):
        assert part in new[0], f"{part!r} did not arrive"


def check_undelivered_raises(notifier: Notifier) -> None:
    """What cannot be delivered raises NotDelivered with a message: a lost alarm is never taken for a sent one."""
    try:
        notifier.fail(EXAMPLE)
    except NotDelivered as error:
        assert error.message.strip(), "the error has no message"
        return
    raise AssertionError("there was no receiver, and no error")


def check_secrets_stay_hidden(notifier: Notifier) -> None:
    """No error shows a secret, nor does the error it was raised from."""
    error: BaseException | None = None
    try:
        notifier.fail(EXAMPLE)
    except NotDelivered as raised:
        error = raised
    while error is not None:
        assert notifier.secret not in f"{error!s} {error!r}", f"{type(error).__name__} shows the secret"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


CHECKS: tuple[Check, ...] = (check_everything_arrives, check_undelivered_raises, check_secrets_stay_hidden)


def check_notifier(send: Send, received: Callable[[], Sequence[str]], fail: Send, secret: str) -> int:
    """Runs every check; returns how many ran. Raises AssertionError naming the broken promise."""
    notifier = Notifier(send, received, fail, secret)
    for check in CHECKS:
        try:
            check(notifier)
        except AssertionError as error:
            raise AssertionError(f"The notifier breaks: {check.__doc__} Got: {error}") from error
    return len(CHECKS)
