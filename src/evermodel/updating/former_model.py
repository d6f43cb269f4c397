"""Blends a network that was trained anew with a former one: of few rows the champion, of more the adopted model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.data.contract import Contract
from evermodel.core.errors import BadModel, EvermodelError
from evermodel.core.model.capabilities import Exportable
from evermodel.core.model.ensemble import BEFORE, DEPLOYED, Ensemble, add_former_model
from evermodel.core.model.model import Model
from evermodel.core.model.widening import widen_model
from evermodel.core.stats.metric import METRICS
from evermodel.core.store import Store
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.registry.model_export import weights_suffixes
from evermodel.registry.versions import load_version
from evermodel.updating.update_input import UpdateInput
from evermodel.updating.verdicts.pairing import is_shown_worse

SHARES = {BEFORE: 0.5, DEPLOYED: 0.25}
REMARK = (
    "The model in service is a blend: {} gives {} of each answer, because by {} {:,} judged rows do not show it to be "
    "worse. The strategy 'refit' serves the new model alone."
)
NAMES = {BEFORE: ("The champion", "half"), DEPLOYED: ("The model as it was adopted", "a quarter")}


@dataclass(frozen=True)
class Blend:
    """A model blended with a former one, and what the user should know of it."""

    model: Model
    remark: str


def blend_with_former(
    store: Store, update_input: UpdateInput, model: Model, judged: Model, role: str, metric: str | None
) -> Blend | None:
    """``model`` and a former one as one model, unless the judged rows show the former one to be worse.

    Neither has seen those rows. A network trained anew on few rows varies much from one training to the next, and so do
    its probabilities: there the metric alone decides. On more rows it forgets seasons that come back: there the
    probabilities decide too (decision 3). None where there is no former model, or the two do not fit: other columns or
    classes, or no single file can hold both. Costs a prediction of the judged rows.
    """
    former = update_input.parent if role == BEFORE else _load_adopted(store, update_input, model)
    metrics = [metric or DEFAULT_METRIC[model.contract.task]]
    if role == DEPLOYED and model.contract.task != "regression" and metrics != ["log_loss"]:
        metrics.append("log_loss")
    if former is None or any(is_shown_worse(former, judged, update_input.judged_rows, metric=name) for name in metrics):
        return None
    both = add_former_model(model, former, SHARES[role], role)
    if not _fits_one_file(both, update_input.card.source):
        return None
    by = " and ".join(METRICS.load_module(name).LABEL for name in metrics)
    return Blend(both, REMARK.format(*NAMES[role], by, len(update_input.judged_rows)))


def _fits_one_file(model: Model, adopted_from: str) -> bool:
    """Whether it can be saved as one file of the user's own kind: whoever gave one network gets one back."""
    plugin = model.framework
    if Path(adopted_from).suffix in weights_suffixes(model.obj.members[0].framework):
        return False
    try:
        return isinstance(plugin, Exportable) and plugin.export_model(model) is not None
    except BadModel:
        return False


def _load_adopted(store: Store, update_input: UpdateInput, model: Model) -> Model | None:
    """The adopted network that the champion descends from; the champion itself where it is the adopted one."""
    card, known = update_input.card, update_input.champion.contract
    while card.parents:
        card = store.read_card(card.name, card.parents[0])
    try:
        found = update_input.parent if card.version == update_input.card.version else load_version(store, card)
    except EvermodelError:  # thrown away since, or damaged: the update goes on without it
        return None
    one = model.obj.members[0] if isinstance(model.obj, Ensemble) else model
    if found.framework is not one.framework or not found.contract.reads(known) or _lacks_classes(found, known):
        return None
    return widen_model(dataclasses.replace(found, contract=known))


def _lacks_classes(model: Model, known: Contract) -> bool:
    """Whether classes came that it has no answer for: its doubt would weigh on them."""
    return len(known.classes) > max(model.signature.outputs or 1, 2)
