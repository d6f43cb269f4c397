"""An ensemble: a model made of whole models, each with its own transform and framework."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from evermodel.core.data.contract import Contract
from evermodel.core.errors import BadModel
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Feature, Transform

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
        questions = {(m.contract.task, m.contract.roles.target) for m in self.members}
        if len(questions) > 1:
            raise BadModel(f"Members must have one task and target. Got {sorted(map(str, questions))}.")
        task = self.members[0].contract.task
        if self.space not in get_args(Space) or (self.space == "value") != (task == "regression"):
            raise BadModel(f"Members for {task} cannot be averaged as {self.space!r}.")

    @property
    def by_role(self) -> Mapping[str, Model]:
        return dict(zip(self.roles, self.members, strict=True))


# The roles of a network trained anew, of those that served before it, and of the one that was adopted.
NEWEST, BEFORE, DEPLOYED = "recent", "before_", "deployed"  # layers are named by them
BLENDED = ("recent", "replay", "again", "window", "new")  # roles of a blend's members, the best alone first
MOST_BEFORE = 2


def newest_member(model: Model) -> Model:
    """The network trained last, of one that others stand ``add_former_model``; every other model as it is."""
    if not isinstance(model.obj, Ensemble) or not all(r.startswith((BEFORE, DEPLOYED)) for r in model.obj.roles[1:]):
        return model
    last = model.obj.members[0]
    output = dataclasses.replace(last.output, threshold=model.output.threshold)
    return dataclasses.replace(last, contract=model.contract, output=output)


def choose_single_model(model: Model) -> Model:
    """The plain network that an update goes on from, where an earlier update blended several; others as they are.

    What a user fused stays an ensemble: its members are of one importance to whoever put them together.
    """
    single = newest_member(model)
    if not isinstance(single.obj, Ensemble):
        return single
    blended = [role for role in BLENDED if role in single.obj.roles]
    others = [role for role in single.obj.roles if not role.startswith((*BLENDED, BEFORE, DEPLOYED))]
    if others or not blended:
        return model
    member = single.obj.by_role[blended[0]]
    output = dataclasses.replace(member.output.without_correction(), threshold=model.output.threshold)
    return dataclasses.replace(member, contract=model.contract, output=output)


def add_former_model(new: Model, former: Model, share: float, role: str) -> Model:
    """``new`` and a former model as one, ``share`` of the answer the former one's; ``new``'s correction is the whole's.

    ``role`` BEFORE: what already stood beside the former one stays, the oldest leaving when there are more than two.
    """
    mine, theirs = _parts(new, NEWEST), _parts(former, role)
    if role == BEFORE:
        theirs = {f"{role}{i}": part for i, part in enumerate([*theirs.values()][:MOST_BEFORE], 1)}
    scale = share / sum(part for _, part in theirs.values())
    shares = [(1.0 - share) * part for _, part in mine.values()] + [scale * part for _, part in theirs.values()]
    whole = average_models(new.contract, {name: member for name, (member, _) in (mine | theirs).items()})
    output = dataclasses.replace(whole.output, gain=new.output.gain, offset=new.output.offset)
    obj = dataclasses.replace(whole.obj, shares=tuple(s / sum(shares) for s in shares))
    return dataclasses.replace(whole, obj=obj, output=dataclasses.replace(output, threshold=new.output.threshold))


def _parts(model: Model, role: str) -> dict[str, tuple[Model, float]]:
    """Its members, or itself, uncorrected, each with its share."""
    if isinstance(model.obj, Ensemble):
        return dict(zip(model.obj.roles, zip(model.obj.members, model.obj.shares, strict=True), strict=True))
    return {role: (dataclasses.replace(model, output=model.output.without_correction()), 1.0)}


def average_models(contract: Contract, members: Mapping[str, Model], space: Space | None = None) -> Model:
    """The mean of the members (role -> model) as one model; log probabilities are averaged, or values."""
    chosen: Space = space or ("value" if contract.task == "regression" else "logit")
    shares = (1.0 / len(members),) * len(members) if members else ()
    average = Ensemble(tuple(members.values()), shares, chosen, tuple(members))
    transform = Transform(tuple(Feature(c.name) for c in contract.columns), layout="frame")
    threshold = average.members[0].output.threshold
    output = Output("value" if chosen == "value" else "probability", threshold=threshold)
    return Model(contract, transform, average, FRAMEWORKS.load_module("ensemble"), output)
