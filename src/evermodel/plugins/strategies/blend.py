"""An average of networks that learn old and new rows in different ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from evermodel.core.data.task import refuse_text
from evermodel.core.errors import BadSetting
from evermodel.core.model.capabilities import WeightAccess
from evermodel.core.model.ensemble import Ensemble, average_models
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.training import label_epochs, number_epochs_on
from evermodel.core.settings import In
from evermodel.plugins.strategies._blend.phases import BATCH, ROLES, Phase, refit_phase, training_phase

__all__ = ["blend", "cost"]

FEW_ROWS = (
    10_000  # with fewer rows training from scratch is cheap, and continuing on a few new rows is a matter of luck
)
LARGE = 1_000_000  # parameters from which "window" is left out, as for pictures: every member adds to the latency


def blend(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    members: str = "auto",
    window: Annotated[int, In(1, None)] = 3,
    half_life: Annotated[float, In(0.1, None)] = 2.0,
    epochs: Annotated[int, In(1, 1_000)] = 20,
    refit_judged: bool = False,
) -> Model:
    """Average up to four networks: some are trained from scratch, some continue from their last state.

    "recent" and "again" are trained from scratch on rows drawn by age (``half_life`` in blocks), "window" on the last
    ``window`` blocks. "replay" continues on as many new as remembered rows, "new" on new rows alone. By default small
    data has "recent", "again" and "window", larger data all but "again". ``refit_judged`` trains each member of a
    judged blend shortly on all new rows. A deadline leaves out the last of "replay", "recent", "again", "window",
    "new". Costs about one plain training on all rows (see ``cost``); deterministic given ``context.seed``. Raises
    NoData without remembered rows, BadSetting for a model that is no network.

        $ evermodel update churn new.csv --with blend --set members=recent,replay
    """
    parent = parents[0]
    _check_network(parent)
    refuse_text(parent.contract.task, "has no mean with others", "Use the strategy lora or replay.")
    if parent.contract.outputs:
        raise BadSetting("A model of several answers is not averaged with others.", "Use replay, resume or refit.")
    roles = ROLES if refit_judged and members == "auto" else _roles(parent, data, members)
    if refit_judged:
        phases = {r: refit_phase(r, data, window=window) for r in _roles_of_members(parent, roles)}
    else:
        phases = {r: training_phase(r, data, window=window, half_life=half_life, epochs=epochs) for r in roles}
    trained: dict[str, Model] = {}
    listen = number_epochs_on(context.on_epoch)
    for role, phase in phases.items():
        own = dataclasses.replace(
            context, on_epoch=label_epochs(listen, role), seed=context.seed + 1000 * ROLES.index(role)
        )
        before = _start_of(parent, role)
        member = _train(_reset(before, phase) if phase.from_scratch else before, phase, data, own)
        if own.training(member, None).out_of_time() and phase.from_scratch and trained:
            break  # the deadline cut its training from scratch short: half of one is worth nothing
        trained[role] = member
    ordered = {role: trained[role] for role in roles if role in trained}
    return dataclasses.replace(average_models(parent.contract, ordered), output=_output(parent))


def cost(parent: Model, data: Split, *, members: str = "auto", epochs: int = 20) -> float:
    """The training time of a blend and its refit, in plain trainings on all rows (20 epochs, batches of 64)."""
    roles = _roles(parent, data, members)
    phases = [training_phase(r, data, window=3, half_life=2.0, epochs=epochs) for r in roles]
    phases += [refit_phase(r, data, window=3) for r in roles]
    plain = 20 * (len(data.new_rows) + (0 if data.replay_rows is None else len(data.replay_rows))) / 64
    return sum(p.steps for p in phases) / max(plain, 1.0)


def _check_network(parent: Model) -> None:
    if not parent.signature.network:
        kind = parent.framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(
            f"blend is for networks; this is a model of {kind}.", "Use the strategy 'refit' or 'recency_ensemble'."
        )


def _roles(parent: Model, data: Split, members: str) -> tuple[str, ...]:
    """The roles of the members, in the order in which they are trained."""
    if members == "auto":
        rows = len(data.new_rows) + (0 if data.replay_rows is None else len(data.replay_rows))
        left_out = {"again"} if rows > FEW_ROWS else {"replay", "new"}
        return tuple(r for r in ROLES if r not in left_out and not (r == "window" and _large(parent)))
    names = {name.strip() for name in members.split(",")}
    if not names or names - set(ROLES):
        raise BadSetting(
            f"members must be names out of {', '.join(sorted(ROLES))}, with commas between. Got {members!r}."
        )
    return tuple(r for r in ROLES if r in names)


def _large(parent: Model) -> bool:
    one = _start_of(parent, "recent")
    if one.transform.layout == "image":
        return True
    return isinstance(one.framework, WeightAccess) and sum(w.size for w in one.framework.get_weights(one.obj)) > LARGE


def _roles_of_members(parent: Model, roles: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(parent.obj, Ensemble):
        raise BadSetting("refit_judged needs the judged blend as its parent. Got a single model.")
    found = tuple(r for r in roles if r in parent.obj.roles)
    if not found:
        raise BadSetting(
            f"No member of the parent ({', '.join(parent.obj.roles)}) is one of {', '.join(roles)}.", "Set members."
        )
    return found


def _start_of(parent: Model, role: str) -> Model:
    """The parent's member of this role, or the nearest one; a single network stands for all of them."""
    if not isinstance(parent.obj, Ensemble):  # its error correction belongs to the whole, not to a member
        return dataclasses.replace(parent, output=parent.output.without_correction())
    named = parent.obj.by_role
    found = next((named[r] for r in (role, *ROLES) if r in named), parent.obj.members[0])
    return dataclasses.replace(found, contract=parent.contract)


def _reset(before: Model, phase: Phase) -> Model:
    """The same structure with its normalisation learned from the rows as they will be drawn; fill values stay."""
    rows = phase.rows
    scaled = before.with_target_scale(before.target(rows))
    return dataclasses.replace(scaled, transform=before.transform.fit(rows.frame, phase.sampling, fills=False))


def _train(model: Model, phase: Phase, data: Split, context: Context) -> Model:
    if model.contract.task != "regression":  # a calibration of the former network's probabilities does not fit this one
        model = dataclasses.replace(model, output=Output(model.output.kind, threshold=model.output.threshold))
    training = context.training(
        model,
        data.shown_rows,
        steps=phase.steps,
        sampling=phase.sampling,
        decay=True,
        batch_size=BATCH,
        learning_rate=phase.rate,
    )
    return model.fit(phase.rows, training, from_scratch=phase.from_scratch)


def _output(parent: Model) -> Output:
    kind = "value" if parent.contract.task == "regression" else "probability"
    return Output(kind, threshold=parent.output.threshold)  # type: ignore[arg-type]
