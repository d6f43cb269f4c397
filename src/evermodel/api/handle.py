"""What says which model is meant: its name and the registry that keeps it."""

from __future__ import annotations

from pathlib import Path


class ModelHandle:
    """A name in a registry. It holds no state of the model: every property and method reads what is stored now."""

    def __init__(self, name: str, location: str | Path | None = None) -> None:
        self.name = name
        self.location = location

    def __repr__(self) -> str:
        return f"Model({self.name!r}, registry={str(self.location)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelHandle) and (self.name, self.location) == (other.name, other.location)

    def __hash__(self) -> int:
        return hash((self.name, self.location))
