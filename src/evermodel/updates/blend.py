"""Average networks that learn old and new rows each in another way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from evermodel.core.change import Context, Split
from evermodel.core.ensemble import Ensemble, ensemble
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Weighted
from evermodel.core.model import Model
from evermodel.core.output import Output
from evermodel.core.settings import In
from evermodel.core.training import counted_on, of_member
from evermodel.updates._blend.phases import BATCH, ROLES, Phase, finishing_phase, training_phase

__all__ = ["blend", "cost"]

FEW_ROWS = 10_000  # on fewer, training anew is cheap, and what a few new rows do to a network that goes on is luck
LARGE = 1_000_000  # parameters from which, as for pictures, the window net is left out: each net adds to the latency


def blend(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    members: str = "auto",
    window: Annotated[int, In(1, None)] = 3,
    half_life: Annotated[float, In(0.1, None)] = 2.0,
    epochs: Annotated[int, In(1, 1_000)] = 20,
    finishing: bool = False,
) -> Model:
    """Average up to four networks: "recent", "window" trained anew, "replay" and "new" going on from their last.

    "recent" and "again" draw rows by age (``half_life`` in blocks), "window" from the last ``window`` blocks; "replay"
    new and kept rows one to one, "new" new rows alone. By default few rows have "recent", "again" and "window", more
    rows all but "again". ``finishing`` trains each of a judged blend shortly on all new rows. Costs about one plain
    training on all rows (``cost``); deterministic given ``ctx.seed``. A deadline leaves out the last of "replay",
    "recent", "again", "window", "new". Raises NoData without kept rows, BadSetting for other than networks.

        $ evermodel update churn new.csv --with blend --set members=recent,replay
    """
    parent = parents[0]
    _check_network(parent)
    roles = ROLES if finishing and members == "auto" else _roles(parent, data, members)
    if finishing:
        phases = {r: finishing_phase(r, data, window=window) for r in _present(parent, roles)}
    else:
        phases = {r: training_phase(r, data, window=window, half_life=half_life, epochs=epochs) for r in roles}
    made: dict[str, Model] = {}
    heard = counted_on(ctx.on_epoch)
    for role, phase in phases.items():
        told = dataclasses.replace(ctx, on_epoch=of_member(heard, role), seed=ctx.seed + 1000 * ROLES.index(role))
        before = _before(parent, role)
        trained = _trained(_fresh(before, phase) if phase.fresh else before, phase, data, told)
        if told.training(trained, None).out_of_time() and phase.fresh and made:
            break  # it was cut short, and what is half trained anew is worth nothing
        made[role] = trained
    ordered = {role: made[role] for role in roles if role in made}
    return dataclasses.replace(ensemble(parent.contract, ordered), output=_output(parent))


def cost(parent: Model, data: Split, *, members: str = "auto", epochs: int = 20) -> float:
    """Training time of blend and its finishing in parts of one plain training (20 epochs, batch 64) on all rows."""
    roles = _roles(parent, data, members)
    phases = [training_phase(r, data, window=3, half_life=2.0, epochs=epochs) for r in roles]
    phases += [finishing_phase(r, data, window=3) for r in roles]
    plain = 20 * (len(data.new) + (0 if data.kept is None else len(data.kept))) / 64
    return sum(p.steps for p in phases) / max(plain, 1.0)


def _check_network(parent: Model) -> None:
    if not parent.needs.network:
        kind = parent.framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(f"blend is for networks; this is a model of {kind}.", "Use --with refit, or halves.")


def _roles(parent: Model, data: Split, members: str) -> tuple[str, ...]:
    """The roles asked for, in the order they are trained in."""
    if members == "auto":
        rows = len(data.new) + (0 if data.kept is None else len(data.kept))
        left_out = {"again"} if rows > FEW_ROWS else {"replay", "new"}
        return tuple(r for r in ROLES if r not in left_out and not (r == "window" and _large(parent)))
    asked = {name.strip() for name in members.split(",")}
    if not asked or asked - set(ROLES):
        raise BadSetting(
            f"members must be names out of {', '.join(sorted(ROLES))}, with commas between. Got {members!r}."
        )
    return tuple(r for r in ROLES if r in asked)


def _large(parent: Model) -> bool:
    one = _before(parent, "recent")
    if one.transform.layout == "image":
        return True
    return isinstance(one.framework, Weighted) and sum(w.size for w in one.framework.weights(one.obj)) > LARGE


def _present(parent: Model, roles: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(parent.obj, Ensemble):
        raise BadSetting("finishing needs the judged blend as its parent. Got a single model.")
    found = tuple(r for r in roles if r in parent.obj.roles)
    if not found:
        raise BadSetting(
            f"No member of the parent ({', '.join(parent.obj.roles)}) is one of {', '.join(roles)}.", "Set members."
        )
    return found


def _before(parent: Model, role: str) -> Model:
    """The parent's member of this role, or what comes nearest; a single network is all of them."""
    if not isinstance(parent.obj, Ensemble):  # its correction is of the whole: a member must not carry it on
        return dataclasses.replace(parent, output=parent.output.uncorrected())
    named = parent.obj.by_role
    found = next((named[r] for r in (role, *ROLES) if r in named), parent.obj.members[0])
    return dataclasses.replace(found, contract=parent.contract)


def _fresh(before: Model, phase: Phase) -> Model:
    """The same structure, normalisation learnt from the rows as they will be drawn; missing values are filled alike."""
    rows = phase.rows
    scaled = before.with_target_scale(before.target(rows))
    return dataclasses.replace(scaled, transform=before.transform.fitted(rows.frame, phase.sampling, fills=False))


def _trained(model: Model, phase: Phase, data: Split, ctx: Context) -> Model:
    if model.contract.task != "regression":  # a correction of the former net's probabilities says nothing about this
        model = dataclasses.replace(model, output=Output(model.output.kind, threshold=model.output.threshold))
    training = ctx.training(
        model, data.tuning, steps=phase.steps, sampling=phase.sampling, decay=True, batch_size=BATCH,
        learning_rate=phase.rate,
    )  # fmt: skip
    return model.fitted(phase.rows, training, fresh=phase.fresh)


def _output(parent: Model) -> Output:
    kind = "value" if parent.contract.task == "regression" else "probability"
    return Output(kind, threshold=parent.output.threshold)  # type: ignore[arg-type]
