"""What ``Model.update`` answers: the result of the update, which can also be explained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evermodel.api.arguments import suggest_arguments
from evermodel.core.errors import AskedWrongly
from evermodel.registry.update_result import UpdateResult

if TYPE_CHECKING:
    from evermodel.explaining.explain import Explanation


@dataclass(frozen=True)
class ModelUpdate(UpdateResult):
    """What an update did, and on demand what changed between the two models."""

    registry: str | Path | None = field(default=None, kw_only=True)  # where the two versions are

    @classmethod
    def of_result(cls, result: UpdateResult, registry: str | Path | None) -> ModelUpdate:
        """The same result, which knows its registry."""
        fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(UpdateResult)}
        return cls(**fields, registry=registry)

    @suggest_arguments
    def explain(self, data: Any = None, *, seed: int = 0) -> Explanation:
        """Compare the challenger with the champion that it was judged against; see ``Model.explain``.

        Args:
            data: labelled rows that neither was trained on. Without rows, those that were kept out of all training.
            seed: makes the sampling repeatable.

        Returns:
            Which rows were won and lost, where, by which columns, and what the data did.

        Raises:
            AskedWrongly: the update stored no challenger, as after ``dry_run``.
            NoData: fewer than 60 labelled rows are there.

        Example:
            >>> import evermodel as em
            >>> result = em.open("models")["churn"].update("april.csv")
            >>> result.explain("may.csv").new
            'v2'
        """
        from evermodel.explaining.explain import explain  # most results are never explained

        if self.challenger is None:
            raise AskedWrongly(f"The update of {self.name} stored no challenger.", "Update without dry_run.")
        return explain(self.name, self.champion, self.challenger, data, seed=seed, registry=self.registry)
