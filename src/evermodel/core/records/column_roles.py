"""Which column of the rows plays which part."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Roles:
    """Which column plays which part. Columns named nowhere here are inputs, unless ``inputs`` names them all."""

    target: str | None = None
    time: str | None = None
    entity: str | None = None
    weight: str | None = None
    slices: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()

    def input_columns(self, columns: list[str]) -> list[str]:
        """The input columns among ``columns``, in the order given by ``inputs`` if it is set."""
        if self.inputs is not None:
            return list(self.inputs)
        taken = {self.target, self.time, self.entity, self.weight, *self.drop}
        return [c for c in columns if c not in taken]
