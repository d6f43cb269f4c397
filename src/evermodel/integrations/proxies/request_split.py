"""How requests are split between two versions, as a proxy in front of the server is told."""

from __future__ import annotations

from dataclasses import dataclass

VERSION_HEADER = "x-evermodel-version"  # which version the proxy drew; the server answers with it while it is tried
ENTITY_HEADER = "x-evermodel-entity"  # who asks: the same value gets the same version
CHAMPION = "champion"  # the value of VERSION_HEADER for whatever version serves
PARTS = 1_000_000  # a share is written in millionths


@dataclass(frozen=True)
class RequestSplit:
    """``version`` gets ``share`` of the requests and the champion the rest; None: no release runs, it gets all."""

    name: str
    version: str  # that is released; the champion where no release runs
    share: float | None = None

    @property
    def parts(self) -> int:
        """Of a million requests, those that the released version gets."""
        return 0 if self.share is None else min(PARTS, max(1, round(PARTS * self.share)))
