"""Who stays in service beside a network trained anew: of few rows the champion, of more the one that was adopted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from evermodel.core import plugs
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.contract import Contract
from evermodel.core.ensemble import BEFORE, DEPLOYED, Ensemble, beside
from evermodel.core.errors import BadModel, EvermodelError
from evermodel.core.framework import Exporting
from evermodel.core.model import Model
from evermodel.core.store import Store
from evermodel.core.widening import widened
from evermodel.loop.judging import shown_worse
from evermodel.loop.prepare import Prepared
from evermodel.loop.use import weights_alone
from evermodel.loop.versions import load_version

SHARES = {BEFORE: 0.5, DEPLOYED: 0.25}
SAID = (
    "{} stays in service beside what was trained, with {} of the answer: by {}, {} judged rows could not show it to be "
    "worse. --with refit would serve one alone."
)
NAMES = {BEFORE: ("The champion", "half"), DEPLOYED: ("The model as it was adopted", "a quarter")}


@dataclass(frozen=True)
class Beside:
    """A model with a former one beside it, and what the user should know of it."""

    model: Model
    remark: str


def with_former(
    store: Store, prepared: Prepared, model: Model, judged: Model, role: str, metric: str | None
) -> Beside | None:
    """``model`` and a former one as one, unless the judged rows, which neither saw, show that one to be the worse.

    Of few rows a network trained anew is one draw of luck; the metric decides, as their level is luck as well. Of more,
    seasons come back that it forgot; there the probabilities decide too (decision 3). None where there is no former
    one, or it does not fit: other columns or classes, or no one file of both. Costs a prediction of the judged rows.
    """
    former = prepared.parent if role == BEFORE else _adopted(store, prepared, model)
    asked = [metric or DEFAULT_METRIC[model.contract.task]]
    if role == DEPLOYED and model.contract.task != "regression" and asked != ["log_loss"]:
        asked.append("log_loss")
    if former is None or any(shown_worse(former, judged, prepared.judging, metric=one) for one in asked):
        return None
    both = beside(model, former, SHARES[role], role)
    if not _one_file(both, str(prepared.card.facts.get("source") or "")):
        return None
    by = " and ".join(plugs.module("metrics", one).LABEL for one in asked)
    return Beside(both, SAID.format(*NAMES[role], by, len(prepared.judging)))


def _one_file(model: Model, adopted_from: str) -> bool:
    """Whether it can be saved as the user's own kind of file: who gave one network gets one back."""
    plug = model.framework
    if Path(adopted_from).suffix in weights_alone(model.obj.members[0].framework):
        return False
    try:
        return isinstance(plug, Exporting) and plug.exported(model) is not None
    except BadModel:
        return False


def _adopted(store: Store, prepared: Prepared, model: Model) -> Model | None:
    """The network that the champion goes back to; the champion itself where nothing came since."""
    card, known = prepared.card, prepared.champion.contract
    while card.parents:
        card = store.card(card.name, card.parents[0])
    try:
        found = prepared.parent if card.version == prepared.card.version else load_version(store, card)
    except EvermodelError:  # thrown away since, or damaged: the update goes on without it
        return None
    one = model.obj.members[0] if isinstance(model.obj, Ensemble) else model
    if found.framework is not one.framework or not found.contract.reads(known) or _outgrown(found, known):
        return None
    return widened(dataclasses.replace(found, contract=known))


def _outgrown(model: Model, known: Contract) -> bool:
    """Whether classes came that it has no answer for: its doubt would weigh on them."""
    return len(known.classes) > max(model.needs.outputs or 1, 2)
