"""What a person asks of an adoption, besides the model and the rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from evermodel.core.data.scan import has_order
from evermodel.core.data.source import BURST
from evermodel.core.data.task import Task
from evermodel.core.errors import BadSetting
from evermodel.core.model.output import Output
from evermodel.core.model.value_transforms import parse_target_transform
from evermodel.core.records.adoption_record import AdoptionRequest
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.model_signature import UNSTATED, TableDialect
from evermodel.registry.adoption.given_transform import GivenTransform

SCALE = "scale:"


@dataclass(frozen=True)
class AdoptionOptions:
    """Roles of the columns, what the user says about the model, and where the model came from."""

    roles: Roles
    task: str = "auto"
    shuffled: bool = False
    transform: GivenTransform | None = None
    unscaled: bool = False  # said in place of a transform: the columns go in as they are
    classes: tuple[str, ...] = ()
    target_transform: str = ""
    signature: Path | None = None  # TOML: which columns make which named input
    predictions: Any = None
    source: str = ""
    source_digest: str = ""
    reference_is_stand_in: bool = False
    notes: tuple[str, ...] = ()  # of how the model was found in its file
    scaling: str = ""  # said in place of a transform: its kind, and functions of columns
    dialect: TableDialect = UNSTATED  # of the reference rows, where they are a text table

    def to_request(self) -> AdoptionRequest:
        """As the version card keeps it; the transform's file is kept beside the model."""
        return AdoptionRequest(
            self.roles,
            self.task,
            self.shuffled,
            self.source,
            self.source_digest,
            self.classes,
            self.target_transform,
            self.unscaled,
            self.scaling,
        )

    @classmethod
    def from_request(
        cls, request: AdoptionRequest, transform: GivenTransform | None, signature: Path | None = None
    ) -> AdoptionOptions:
        """What was asked of a model that waited, now that rows have come that stand in for the training rows."""
        return cls(
            request.roles,
            request.task,
            request.shuffled,
            transform,
            request.unscaled,
            request.classes,
            request.target_transform,
            signature,
            source=request.source,
            source_digest=request.source_digest,
            reference_is_stand_in=True,
            scaling=request.scaling,
        )


def parse_task(task: str) -> Task:
    """The task a user named. Raises BadSetting, listing those there are."""
    for known in get_args(Task):
        if task == known:
            return cast(Task, known)
    raise BadSetting(f"`task` must be auto, {', '.join(get_args(Task))}. Got {task!r}.")


def parse_target_output(text: str) -> Output | None:
    """How answers become values: "log1p", "scale:MEAN:SPREAD" or "log1p+scale:MEAN:SPREAD"; None where nothing is said.

    ``scale`` says that the model was trained on (target - MEAN) / SPREAD. Raises BadSetting.
    """
    if not text:
        return None
    first, plus, rest = text.partition("+")
    scaling = first if first.startswith(SCALE) else rest
    kind = parse_target_transform("none" if first.startswith(SCALE) else first)
    if not plus and not scaling:
        return Output("value", target_transform=kind)
    try:
        mean, spread = (float(part) for part in scaling.removeprefix(SCALE).split(":"))
    except ValueError:
        mean, spread = 0.0, 0.0
    if not scaling.startswith(SCALE) or not 0.0 < spread < float("inf") or abs(mean) == float("inf"):
        raise BadSetting(
            f"`target_transform` scales by scale:MEAN:SPREAD, with a SPREAD above 0. Got {text!r}.",
            "For example scale:12.5:3.1, or log1p+scale:12.1:0.4.",
        )
    return Output("value", scale=spread, shift=(mean,), target_transform=kind)


def drop_order(options: AdoptionOptions, data: Any) -> tuple[AdoptionOptions, bool]:
    """The options under which rows are drawn at random, whole bursts together, where ``data`` has no order.

    Also whether that was so. An entity or a time that the user named stays.
    """
    if options.roles.time is not None or options.roles.entity is not None or has_order(data):
        return options, False
    roles = dataclasses.replace(options.roles, entity=BURST)
    return dataclasses.replace(options, roles=roles, shuffled=True), True
