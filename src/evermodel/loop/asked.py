"""What a person asks of an adoption, beside the model and the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

from evermodel.core.errors import BadSetting
from evermodel.core.framework import Task
from evermodel.core.table import Roles


@dataclass(frozen=True)
class Asked:
    """Roles of the columns, the task, and where the model came from; kept with a model that waits for its rows."""

    roles: Roles
    task: str = "auto"
    shuffled: bool = False
    transform: Path | None = None
    source: str = ""
    source_digest: str = ""
    stands_in: bool = False

    def facts(self) -> dict[str, Any]:
        """As a card keeps it; the transform's file is kept beside the model."""
        kept = asdict(self)
        del kept["transform"]
        return kept

    @classmethod
    def from_facts(cls, kept: Mapping[str, Any], transform: Path | None) -> Asked:
        roles: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in kept["roles"].items()}
        return cls(**{**kept, "roles": Roles(**roles), "transform": transform})


def checked_task(task: str) -> Task:
    """The task a user named. Raises BadSetting, listing those there are."""
    for known in get_args(Task):
        if task == known:
            return cast(Task, known)
    raise BadSetting(f"--task must be auto, {', '.join(get_args(Task))}. Got {task!r}.")
