"""A strategy whose setting has no type, so that a command line cannot give it."""

from __future__ import annotations

from typing import Any

from stranger_plugins import newest_share as whole


def newest_share(parents: Any, data: Any, context: Any, /, *, share=0.5) -> Any:  # type: ignore[no-untyped-def]
    """The same strategy.

    $ evermodel update churn new.csv --with newest_share
    """
    return whole.newest_share(parents, data, context, share=share)
