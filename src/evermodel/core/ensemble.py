"""An ensemble: a model made of whole models, each with its own transform and framework."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from evermodel.core import plugs
from evermodel.core.contract import Contract
from evermodel.core.errors import BadModel
from evermodel.core.model import Model
from evermodel.core.output import Output
from evermodel.core.transform import Feature, Transform

Space = Literal["logit", "probability", "value"]


@dataclass(frozen=True)
class Ensemble:
    """Members whose outputs are averaged: log probabilities ("logit"), probabilities, or values.

    ``roles`` names each member ("recent", "replay"). Raises BadModel for members that do not answer one question.
    """

    members: tuple[Model, ...]
    shares: tuple[float, ...]  # positive, of sum 1
    space: Space
    roles: tuple[str, ...]

    def __post_init__(self) -> None:
        counts = len(self.members), len(self.shares), len(self.roles)
        if not counts[0] or len(set(counts)) > 1 or len(set(self.roles)) < counts[0]:
            raise BadModel(
                f"An ensemble needs members, each with a share and a role of its own. Got {counts[0]} members, "
                f"{counts[1]} shares and the roles {', '.join(self.roles) or 'none'}."
            )
        if not all(s > 0 for s in self.shares) or not math.isclose(sum(self.shares), 1.0, abs_tol=1e-9):
            raise BadModel(f"Shares must be positive and sum to 1. Got {self.shares}.")
        if any(isinstance(m.obj, Ensemble) for m in self.members):
            raise BadModel("A member must be a plain model. Got an ensemble.", "Give that one's members instead.")
        asked = {(m.contract.task, m.contract.roles.target) for m in self.members}
        if len(asked) > 1:
            raise BadModel(f"Members must have one task and target. Got {sorted(map(str, asked))}.")
        task = self.members[0].contract.task
        if self.space not in get_args(Space) or (self.space == "value") != (task == "regression"):
            raise BadModel(f"Members for {task} cannot be averaged as {self.space!r}.")

    @property
    def by_role(self) -> Mapping[str, Model]:
        return dict(zip(self.roles, self.members, strict=True))


def ensemble(contract: Contract, members: Mapping[str, Model], space: Space | None = None) -> Model:
    """The mean of the members (role -> model) as one model; log probabilities are averaged, or values."""
    chosen: Space = space or ("value" if contract.task == "regression" else "logit")
    shares = (1.0 / len(members),) * len(members) if members else ()
    made = Ensemble(tuple(members.values()), shares, chosen, tuple(members))
    transform = Transform(tuple(Feature(c.name) for c in contract.columns), layout="frame")
    threshold = made.members[0].output.threshold
    output = Output("value" if chosen == "value" else "probability", threshold=threshold)
    return Model(contract, transform, made, plugs.module("frameworks", "ensemble"), output)
