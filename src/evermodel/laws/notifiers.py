"""What every notifier obeys. A law is a function: it returns when it holds and raises AssertionError when it does not.

``send`` sends a notice with the notifier's settings to a receiver that listens; ``received`` gives the texts that came.
``refused`` sends to a receiver that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evermodel.core.errors import NotDelivered
from evermodel.core.notice import Notice

Send = Callable[[Notice], object]
EXAMPLE = Notice(
    "drift:age", "churn", "critical", "age drifts: PSI 0.31 <here>\r\nBcc: all@example.org",
    "2026-01-02T03:04:05+00:00",
    {"rows": 500, "ä": "ü"}, "evermodel update churn NEW_ROWS",
)  # fmt: skip


def everything_arrives(send: Send, received: Callable[[], Sequence[str]]) -> None:
    """Subject, level, what, since and the next command reach the receiver; one notice is one message."""
    before = len(received())
    send(EXAMPLE)
    new = list(received())[before:]
    assert len(new) == 1, f"{len(new)} messages came of one notice"
    for part in ("churn", "critical", "PSI 0.31", EXAMPLE.since, EXAMPLE.next_command):
        assert part in new[0], f"{part!r} did not arrive"


def silence_is_an_error(refused: Send) -> None:
    """What cannot be delivered raises NotDelivered: a lost alarm is never taken for a sent one."""
    try:
        refused(EXAMPLE)
    except NotDelivered as error:
        assert error.message
        return
    raise AssertionError("nobody was there, and nothing was said")


def secrets_are_not_told(refused: Send, hidden: str) -> None:
    """No error shows a secret."""
    try:
        refused(EXAMPLE)
    except NotDelivered as error:
        assert hidden not in str(error), "the error shows the secret"


LAWS = (everything_arrives, silence_is_an_error, secrets_are_not_told)
