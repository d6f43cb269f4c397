"""Models made of whole models, their outputs averaged; one plain file where the members' framework can join them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.errors import BadModel, BadSetting, Damaged
from evermodel.core.model.capabilities import Combinable, Joinable, LogitOutput, Widenable
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.framework import FRAMEWORKS, Signature
from evermodel.core.model.model import Model
from evermodel.core.model.output import SMALLEST, Output, softmax
from evermodel.core.model.training import Training, label_epochs
from evermodel.core.model.transform import Transform
from evermodel.core.plugins import Confidence
from evermodel.core.records.learning_curve import Epoch

EXTRA = "all"
_LIST = "ensemble.json"
_PARTS = ("contract", "transform", "output")


def is_model(obj: Any, /) -> bool:
    return isinstance(obj, Ensemble)


def recognize(path: Path, /) -> Confidence:
    """Never: an ensemble is a folder of the registry, not a file of the user's."""
    return Confidence.NO


def read_file(path: Path, /, *, trust: bool = False, factory: str | None = None) -> Any:
    raise BadModel(f"{path.name} is no ensemble: an ensemble has no file of its own.")


def write_file(obj: Any, to: Path, /) -> None:
    raise BadSetting(f"An ensemble has no file of its own. Got {to.name!r}.", "Save into a folder, or export it.")


def suffixes() -> tuple[str, ...]:
    return ()


def save(obj: Any, to: Path, /) -> None:
    """Each member into its own folder by its own framework, and ``ensemble.json`` that names them."""
    described = {"shares": obj.shares, "space": obj.space, "roles": obj.roles, "frameworks": [*map(_name, obj.members)]}
    (to / _LIST).write_text(json.dumps(described, indent=1))
    for number, member in enumerate(obj.members):
        at = to / str(number)
        (at / "model").mkdir(parents=True)
        for part in _PARTS:
            (at / f"{part}.json").write_text(getattr(member, part).to_json())
        member.framework.save(member.obj, at / "model")


def load(at: Path, /) -> Any:
    """The ensemble saved in the folder ``at``. Raises Damaged where its list is broken, and what a member raises."""
    try:
        described = json.loads((at / _LIST).read_text())
        names, roles, shares = (
            list(described["frameworks"]),
            tuple(described["roles"]),
            tuple(map(float, described["shares"])),
        )
        space = described["space"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{at / _LIST} is no list of members ({type(error).__name__}).") from None
    members = tuple(_member(at / str(number), str(name)) for number, name in enumerate(names))
    return Ensemble(members, shares, space, roles)


def _member(at: Path, name: str) -> Model:
    contract, transform, output = ((at / f"{part}.json").read_text() for part in _PARTS)
    plugin = FRAMEWORKS.load_module(name)
    return Model(
        Contract.from_json(contract),
        Transform.from_json(transform),
        plugin.load(at / "model"),
        plugin,
        Output.from_json(output),
    )


def read_signature(obj: Any, /) -> Signature:
    first = obj.members[0]
    names = tuple(c.name for c in first.contract.columns)
    value = obj.space == "value"
    return Signature(
        layout="frame",
        shape=(len(names),),
        names=names,
        task=first.contract.task,
        outputs=1 if value else max(_width(m) for m in obj.members),
        output="value" if value else "probability",
        network=all(m.signature.network for m in obj.members),
        pretrained=any(m.signature.pretrained for m in obj.members),
    )


def predict(obj: Any, x: Any, /) -> Array:
    """Cleaned rows as a frame -> (n, k) probabilities or (n,) values: the mean in the ensemble's space."""
    if obj.space == "logit":
        parts = [log_probabilities(m, x) for m in obj.members]
    else:
        parts = [m.predict(x) for m in obj.members]
    widest = max(p.shape[1] for p in parts) if parts[0].ndim > 1 else 0
    never = np.log(SMALLEST) if obj.space == "logit" else 0.0  # of a class that came after a member was made
    full = [p if not widest else np.pad(p, ((0, 0), (0, widest - p.shape[1])), constant_values=never) for p in parts]
    mean = sum(share * p for share, p in zip(obj.shares, full, strict=True))
    return np.asarray(softmax(np.asarray(mean)) if obj.space == "logit" else mean)


def log_probabilities(member: Model, frame: pl.DataFrame) -> Array:
    """(n, k) of one member: from its raw scores where it has them, else from its probabilities."""
    if isinstance(member.framework, LogitOutput) and member.signature.classes is None:
        z = member.framework.predict_logits(member.obj, member.transform(frame))
        if z is not None:
            z = np.asarray(z, dtype=np.float64)
            z = np.hstack([np.zeros_like(z), z]) if z.shape[1] == 1 else z
            shift = np.asarray(member.output.shift) if member.output.shift else 0.0
            return _log_softmax(_log_softmax(z) / member.output.temperature + shift)
    return np.asarray(np.log(np.maximum(member.predict(frame), SMALLEST)))


def _log_softmax(z: Array) -> Array:
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def fit(obj: Any, x: Any, y: Array, training: Training, /, *, from_scratch: bool) -> Any:
    """Each member trained on the rows x, a frame; ``from_scratch`` learns the members' normalisation anew as well."""
    count = iter(range(1, 1 << 30))  # over the passes of all members

    def hear(epoch: Epoch) -> None:
        training.on_epoch(dataclasses.replace(epoch, number=next(count)))

    described = training
    members = tuple(
        _fitted(
            m,
            x,
            y,
            dataclasses.replace(described, seed=training.seed + number, on_epoch=label_epochs(hear, role)),
            from_scratch,
        )
        for number, (m, role) in enumerate(zip(obj.members, obj.roles, strict=True))
    )
    return dataclasses.replace(obj, members=members)


def _fitted(member: Model, x: Any, y: Array, training: Training, from_scratch: bool) -> Model:
    if from_scratch:
        member = dataclasses.replace(member, transform=member.transform.fit(x))
    watched = training.validation
    if watched is not None:
        watched = member.transform(watched[0]), member.scale_target(watched[1])
    described = dataclasses.replace(training, validation=watched, categorical=member.transform.categorical())
    combined = member.framework.fit(
        member.obj, member.transform(x), member.scale_target(y), described, from_scratch=from_scratch
    )
    return dataclasses.replace(member, obj=combined)


def widen(obj: Any, /, *, inputs: int, outputs: int) -> Any:
    """Each member with an output for each class; ``inputs`` is not used, as members keep their own transforms."""
    return dataclasses.replace(obj, members=tuple(_widened(m, outputs) for m in obj.members))


def _widened(member: Model, outputs: int) -> Model:
    shape = member.signature.shape
    if _width(member) >= outputs or shape is None or not isinstance(member.framework, Widenable):
        return member
    combined = member.framework.widen(member.obj, inputs=shape[-1], outputs=outputs)
    shift = member.output.shift and (*member.output.shift, *(0.0,) * (outputs - len(member.output.shift)))
    return dataclasses.replace(member, obj=combined, output=dataclasses.replace(member.output, shift=shift))


def export_model(model: Model, /) -> Model:
    """The ensemble as one plain model of its members' framework, predicting the same.

    Networks stand side by side in one; boosters and linear models behind one transform become one of their kind.
    Raises BadModel where the members are of several frameworks or cannot be put into one.
    """
    whole = model.obj
    plugin = whole.members[0].framework
    if any(m.framework is not plugin for m in whole.members):
        kinds = ", ".join(sorted({_name(m) for m in whole.members}))
        raise BadModel(f"Members of several frameworks ({kinds}) cannot become one file.", "Save into a folder.")
    combined = _together(plugin, whole)
    outer = model.output
    if outer.kind == "value":
        shift = outer.shift[0] if outer.shift else 0.0
        own = combined.output.shift[0] if combined.output.shift else 0.0
        output = dataclasses.replace(
            combined.output,
            scale=outer.scale * combined.output.scale,
            shift=(outer.scale * own + shift,),
            gain=outer.gain,
            offset=outer.offset,
        )
    else:
        output = dataclasses.replace(outer, kind=combined.output.kind)
    return dataclasses.replace(combined, contract=model.contract, output=output)


def _together(plugin: Any, whole: Ensemble) -> Model:
    first = whole.members[0]
    if whole.space != "probability" and isinstance(plugin, Joinable):
        joined: Model = plugin.join_models(whole.members, whole.shares, whole.roles)
        return joined
    alike = all(m.transform == first.transform and m.output == first.output for m in whole.members)
    alike = alike and first.output.target_transform == "none"  # a mean of logarithms is no mean of prices
    if whole.space == "probability" or not alike or not isinstance(plugin, Combinable):
        raise BadModel(f"These members ({_name(first)}) cannot become one file.", "Save into a folder instead.")
    return dataclasses.replace(first, obj=plugin.combine([m.obj for m in whole.members], whole.shares))


def _width(member: Model) -> int:
    return max(member.signature.outputs or 1, 2 if member.contract.task != "regression" else 1)


def _name(member: Model) -> str:
    return member.framework.__name__.rsplit(".", 1)[-1]
