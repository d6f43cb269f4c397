"""The clock that everything asks. Whoever maintains hands in another: tests and simulations never sleep."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Clock = Callable[[], dt.datetime]  # aware moments


def wall_clock() -> dt.datetime:
    """The machine's clock, in UTC."""
    return dt.datetime.now(dt.UTC)


_CLOCK: ContextVar[Clock] = ContextVar("clock", default=wall_clock)


def current_time() -> dt.datetime:
    """Now, by the clock in use."""
    return _CLOCK.get()()


def current_seconds() -> float:
    """Now, in Unix seconds."""
    return current_time().timestamp()


@contextmanager
def use_clock(clock: Clock) -> Iterator[None]:
    """Everything inside asks ``clock``."""
    token = _CLOCK.set(clock)
    try:
        yield
    finally:
        _CLOCK.reset(token)


def current_clock() -> Clock:
    """The clock in use, for a thread that does not inherit it."""
    return _CLOCK.get()
